"""The KFP component of the step ensemble."""

from components import declare, images
from components.ensemble import settings

ensemble = declare.component(settings, images.CPU)
