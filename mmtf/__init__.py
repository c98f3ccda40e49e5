"""Multimodal generative models in TensorFlow: train, judge and serve them.

Importing this package registers nothing and starts nothing; `mmtf.registry` is the one table of names.
"""

__version__ = "0.1.0"
