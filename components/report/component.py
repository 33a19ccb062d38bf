"""The KFP component of the step report."""

from components import declare, images
from components.report import settings

report = declare.component(settings, images.CPU)
