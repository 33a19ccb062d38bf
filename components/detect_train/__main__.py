from components import entry
from components.detect_train import settings, step

entry.main(settings, step.run)
