"""Distributions, divergences and likelihoods: pure TensorFlow and TFP, float32, free of Keras."""
