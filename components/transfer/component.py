"""The KFP component of the step transfer."""

from components import declare, images
from components.transfer import settings

transfer = declare.component(settings, images.CPU)
