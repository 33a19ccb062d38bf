"""The KFP component of the step split."""

from components import declare, images
from components.split import settings

split = declare.component(settings, images.CPU)
