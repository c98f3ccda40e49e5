"""Multimodal generative models in TensorFlow: train, evaluate and serve them.

    data = mmtf.from_arrays({"rna": x, "protein": y}, labels=labels)
    run = mmtf.train(data, model="mmjsd", run_dir="runs/first", shared_dim=8, steps=500)
    model = mmtf.load(run)
    protein = model.translate({"rna": x}, to=["protein"])

Importing the package starts nothing and does not import TensorFlow: each name is found when it is first used.
"""

import importlib
import os

from mmtf import errors, keras_names, processor

__version__ = "0.1.0"

# Where each public name is.
_PUBLIC = {
    "mmtf.verbs.public": ("train", "evaluate", "export", "load"),
    "mmtf.data": ("from_arrays", "from_dataframe"),
    "mmtf.data.dataset": ("MultimodalData", "Split"),
    "mmtf.modality": ("Modality",),
    "mmtf.config": ("Config", "DataConfig", "ModelConfig", "TrainConfig", "EvaluateConfig"),
    "mmtf.errors": ("UserError",),
    "mmtf.metrics.specs": ("MetricSpec",),
    "mmtf.runs": ("RunDirectory",),
    "mmtf.models.vae.mmjsd": ("MMJSD",),
    "mmtf.models.vae.mvae": ("MVAE",),
    "mmtf.models.vae.mmvae": ("MMVAE",),
    "mmtf.models.vae.mmvae_iw": ("ImportanceMMVAE",),
    "mmtf.models.vae.mmvae_plus": ("MMVAEPlus",),
    "mmtf.models.vae.mopoe": ("MoPoE",),
    "mmtf.models.vae.jmvae": ("JMVAE",),
    "mmtf.models.vae.mvtcae": ("MVTCAE",),
    "mmtf.models.gan.mmali": ("MMALI",),
    "mmtf.models.gan.mmali_joint": ("JointMMALI",),
}
_WHERE = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = sorted(_WHERE)

if os.path.exists(os.path.join(os.path.dirname(__file__), *errors.FOREIGN_FILE)):
    raise ImportError(errors.FOREIGN)

# Before TensorFlow is imported, whose import reads it.
ONEDNN_CAME_TOO_LATE = processor.turn_on_onednn()

# So that Keras loads `.keras` files of these models and layers.
keras_names.announce()


def __getattr__(name: str):
    if name not in _WHERE:
        raise AttributeError(f"module 'mmtf' has no attribute {name!r}")
    value = getattr(importlib.import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_WHERE})
