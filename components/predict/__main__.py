from components import entry
from components.predict import settings, step

entry.main(settings, step.run)
