"""The KFP component of the step `detect_train`."""

from components import declare, images
from components.detect_train import settings

detect_train = declare.component(settings, images.GPU)
