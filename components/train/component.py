"""The KFP component of the step `train`."""

from components import declare, images
from components.train import settings

train = declare.component(settings, images.GPU)
