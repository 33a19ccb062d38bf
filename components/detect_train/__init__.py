import os

# Before TensorFlow is imported anywhere below: its start-up chatter would bury the task's own log.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
