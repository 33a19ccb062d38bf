from components import entry
from components.ingest import settings, step

entry.main(settings, step.run)
