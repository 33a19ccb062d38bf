"""What the console wants to know of our own pipelines and cannot learn from the engine: one protocol a topic.

`pipeline.console` implements them; `pipeline.serving` puts them together. The server itself knows no step.
"""
