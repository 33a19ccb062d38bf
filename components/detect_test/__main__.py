from components import entry
from components.detect_test import settings, step

entry.main(settings, step.run)
