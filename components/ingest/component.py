from components import declare, images
from components.ingest import settings

ingest = declare.component(settings, images.CPU)
