from components import entry
from components.split import settings, step

entry.main(settings, step.run)
