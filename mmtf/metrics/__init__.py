"""What models are worth: arrays in, numbers out, no models. Each module is a namespace of its own.

| module | measures |
|---|---|
| `probe` | how much a linear classifier finds in codes |
| `likelihood` | log-likelihoods from the log-weights of importance samples, and how far they can be trusted |
| `latents` | which dimensions of codes are used, and whether modalities agree on them |
| `coherence`, `precision` | whether generated samples have the class or the attributes that they should have |
| `classifier` | the classifiers that decide on it; the only one that needs TensorFlow |
| `prd`, `frechet` | whether generated samples are distributed as real ones are, by their features |
| `cca` | whether the values of generated pairs belong together, by their features |
| `retrieval` | whether scores tell which pairs belong together |
| `reconstruction` | how far reconstructions are from what was given |
| `specs`, `entries` | what each entry of metrics.json means, and where it is shown |
| `intervals` | how far any of these numbers can be trusted: `Estimate` |

A module is imported when it is asked for, so that none but `classifier` waits for TensorFlow.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = [
    "cca",
    "classifier",
    "coherence",
    "entries",
    "frechet",
    "intervals",
    "latents",
    "likelihood",
    "prd",
    "precision",
    "probe",
    "reconstruction",
    "retrieval",
    "specs",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"{__name__} has no {name}; it has: {', '.join(__all__)}.")
