"""Tables whose rows and columns have names, in every container that has some."""

import numpy as np
import pandas
import polars
import pyarrow
import scipy.sparse

from mmtf import registry
from mmtf.config import Config, DataConfig, ModelConfig

N = 40
RNG = np.random.default_rng(7)
NAMES = ["year", "height", "weight", "dose"]
X, Y = RNG.normal(size=(N, 4)), RNG.normal(size=(N, 3))
ROWS = [f"cell{k}" for k in range(N)]


class Annotated:
    """Stands in for an AnnData, with what of it is used."""

    def __init__(self, x, obs_names, var_names):
        self.X, self.layers = x, {"raw": x}
        self.obs_names, self.var_names = pandas.Index(obs_names), pandas.Index(var_names)

    def __getitem__(self, rows):
        return Annotated(self.X[self.obs_names.get_indexer(rows)], rows, self.var_names)


TABLES = {
    "pandas": lambda x, names: pandas.DataFrame(x, columns=names),
    "polars": lambda x, names: polars.DataFrame(x, schema=list(names)),
    "pyarrow": lambda x, names: pyarrow.table(dict(zip(names, x.T, strict=True))),
    "AnnData": lambda x, names: Annotated(scipy.sparse.csr_matrix(x), ROWS[: len(x)], names),
    "dict": lambda x, names: dict(zip(names, x.T, strict=True)),
}


def model_of(data):
    config = Config(DataConfig("arrays"), ModelConfig("mmjsd", shared_dim=3))
    return registry.build_model(config, registry.configure(data.modalities, config.model))


def codes(model, x, name="x"):
    return model.encode({name: x}).shared[name].loc.numpy()
