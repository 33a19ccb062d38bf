from components import entry
from components.ensemble import settings, step

entry.main(settings, step.run)
