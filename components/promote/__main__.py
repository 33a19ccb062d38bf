from components import entry
from components.promote import settings, step

entry.main(settings, step.run)
