"""The KFP component of the step `detect_test`."""

from components import declare, images
from components.detect_test import settings

detect_test = declare.component(settings, images.GPU)
