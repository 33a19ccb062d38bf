"""What the console shows of our own pipelines: implementations of the protocols in `pipeline.server.domain`."""
