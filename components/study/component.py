"""The KFP component of the step study."""

from components import declare, images
from components.study import settings

study = declare.component(settings, images.CPU)
