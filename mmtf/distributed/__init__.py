"""Devices and workers: strategies, replicas, random numbers."""
