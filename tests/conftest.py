"""Shared set-up: two logical CPU devices for the replica tests, and a small model of three kinds of modalities."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf

# Before TensorFlow starts: afterwards the devices are fixed for the process.
_CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(_CPU, [tf.config.LogicalDeviceConfiguration()] * 2)
