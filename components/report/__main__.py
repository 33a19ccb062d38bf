from components import entry
from components.report import settings, step

entry.main(settings, step.run)
