from components import entry
from components.boxes_prepare import settings, step

entry.main(settings, step.run)
