from components import entry
from components.train import settings, step

entry.main(settings, step.run)
