"""The only tables of names, and the factory from a config to a model."""

from mmtf.registry.tables import (
    DATASETS,
    MODELS,
    DatasetEntry,
    ModelEntry,
    build_model,
    check_names,
    classifier_epochs,
    classifier_of,
    configure,
    fills_of,
    load_data,
    model_class,
    networks_of,
)

__all__ = [
    "DATASETS",
    "MODELS",
    "DatasetEntry",
    "ModelEntry",
    "build_model",
    "check_names",
    "classifier_epochs",
    "classifier_of",
    "configure",
    "fills_of",
    "load_data",
    "model_class",
    "networks_of",
]
