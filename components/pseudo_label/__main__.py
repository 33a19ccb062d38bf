from components import entry
from components.pseudo_label import settings, step

entry.main(settings, step.run)
