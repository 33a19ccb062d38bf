"""The KFP component of the step boxes_prepare."""

from components import declare, images
from components.boxes_prepare import settings

boxes_prepare = declare.component(settings, images.CPU)
