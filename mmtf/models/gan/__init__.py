"""Adversarially learned inference (Chen & Zhu 2022), with factorized and with joint discriminators."""
