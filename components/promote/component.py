"""The KFP component of the step promote."""

from components import declare, images
from components.promote import settings

promote = declare.component(settings, images.CPU)
