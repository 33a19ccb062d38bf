"""Detectors of the YOLOv3 family: darknet's formats, the network, its loss, and the measures of what it finds."""
