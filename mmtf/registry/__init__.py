"""The tables of names, and from a config to a data set or a model."""

from mmtf.config.names import DATASETS, MODELS
from mmtf.data.entry import DatasetEntry
from mmtf.registry.tables import (
    build_model,
    check_names,
    classifier_epochs,
    classifier_of,
    configure,
    fills_of,
    licences_of,
    load_data,
    model_class,
    networks_of,
)

__all__ = [
    "DATASETS",
    "MODELS",
    "DatasetEntry",
    "build_model",
    "check_names",
    "classifier_epochs",
    "classifier_of",
    "configure",
    "fills_of",
    "licences_of",
    "load_data",
    "model_class",
    "networks_of",
]
