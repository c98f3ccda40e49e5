"""The classes that `.keras` files name, found by Keras although `import mmtf` imports neither TensorFlow nor them.

Keras looks a class up in a table of this process. The class' module puts it there when it is imported; until then a stand-in
is in its place, which imports the module when a file names the class.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from importlib.abc import MetaPathFinder

from mmtf.config.names import MODELS

PACKAGE = "mmtf"
LAYERS = {
    "mmtf.networks.discriminators": ("PairDiscriminator", "TowersDiscriminator"),
    "mmtf.networks.heads": ("GaussianHead",),
    "mmtf.networks.layers": (
        "Characters",
        "Conv2DDoubling",
        "WholeConv1D",
        "WholeConv1DTranspose",
        "WholeConv2D",
        "WholeConv2DTranspose",
    ),
    "mmtf.networks.spectral": ("SpectralDense", "SpectralHalving"),
    "mmtf.networks.vector": ("MissingCells", "OneHot", "Standardised"),
}


def classes() -> dict[str, str]:
    """Return where each class is, as `module:name`, by the name that Keras knows it by."""
    rows = [*MODELS.values(), *(f"{module}:{name}" for module, names in LAYERS.items() for name in names)]
    return {f"{PACKAGE}>{row.partition(':')[2]}": row for row in rows}


def announce() -> None:
    """Tell Keras of every class; now where it is imported already, else when it is."""
    if "keras" in sys.modules:
        _put_stand_ins()
    elif not any(isinstance(finder, _WhenKerasIsImported) for finder in sys.meta_path):
        sys.meta_path.insert(0, _WhenKerasIsImported())


class _StandIn:
    """Stand-in for a class: imports its module when Keras asks for something, and lets the class answer."""

    def __init__(self, row: str):
        self._row = row

    def from_config(self, config: Mapping, *args, **kwargs):
        module, _, name = self._row.partition(":")
        return getattr(importlib.import_module(module), name).from_config(config, *args, **kwargs)


def _put_stand_ins() -> None:
    import keras

    table = keras.saving.get_custom_objects()
    for name, row in classes().items():
        table.setdefault(name, _StandIn(row))


class _WhenKerasIsImported(MetaPathFinder):
    """Finder that leaves the import of Keras to the others, and puts the stand-ins into its table afterwards."""

    def find_spec(self, name, path=None, target=None):
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                _put_stand_ins()

            spec.loader.exec_module = exec_module
        return spec
