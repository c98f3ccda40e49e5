"""Functions of TensorFlow step by step: of a few steps on small arrays, building the graph takes the most."""

import contextlib

import tensorflow as tf


@contextlib.contextmanager
def eagerly(on=True):
    """Run without graphs, but for those of the data; or with them again. Afterwards all is as before."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(on)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
