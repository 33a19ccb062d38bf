"""The KFP component of the step preprocess."""

from components import declare, images
from components.preprocess import settings

preprocess = declare.component(settings, images.CPU)
