from components import entry
from components.preprocess import settings, step

entry.main(settings, step.run)
