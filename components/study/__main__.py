from components import entry
from components.study import settings, step

entry.main(settings, step.run)
