from components import entry
from components.openimages_subset import settings, step

entry.main(settings, step.run)
