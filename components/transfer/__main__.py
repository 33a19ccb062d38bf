from components import entry
from components.transfer import settings, step

entry.main(settings, step.run)
