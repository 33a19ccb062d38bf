"""The KFP component of the step openimages_subset."""

from components import declare, images
from components.openimages_subset import settings

openimages_subset = declare.component(settings, images.CPU)
