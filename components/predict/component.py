"""The KFP component of the step predict."""

from components import declare, images
from components.predict import settings

predict = declare.component(settings, images.GPU)
