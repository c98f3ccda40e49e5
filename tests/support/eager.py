"""Functions of TensorFlow step by step: of a few steps on small arrays, building the graph takes the most."""

import contextlib

import tensorflow as tf


@contextlib.contextmanager
def eagerly():
    """Without graphs, but for those of the data."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)
