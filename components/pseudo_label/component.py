"""The KFP component of the step pseudo_label."""

from components import declare, images
from components.pseudo_label import settings

pseudo_label = declare.component(settings, images.CPU)
