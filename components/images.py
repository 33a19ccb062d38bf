"""Names of the container images of the steps: the one place that knows them."""

import os

TAG = "0.2.0"
REGISTRY = os.environ.get("SEAMLINE_REGISTRY", "seamline")
CPU = f"{REGISTRY}/steps-cpu:{TAG}"
GPU = f"{REGISTRY}/steps-gpu:{TAG}"
SERVER = f"{REGISTRY}/server:{TAG}"
