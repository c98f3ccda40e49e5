"""AnnData and MuData at every door: stand-ins with what of them is used, and the real ones where they are installed."""

import numpy as np
import pandas
import pytest
import scipy.sparse
from named_values import NAMES, ROWS, Annotated, N, X, Y, codes, model_of

import mmtf
from mmtf.errors import UserError

RNG = np.random.default_rng(3)
COUNTS = RNG.poisson(3.0, (N, 5))
GENES = [f"gene{k}" for k in range(5)]


class Several:
    """Stands in for a MuData, with what of it is used."""

    axis = 0

    def __init__(self, mod):
        self.mod = dict(mod)
        rows = [each for part in mod.values() for each in part.obs_names]
        self.obs_names = pandas.Index(sorted(set(rows), key=ROWS.index))


def stand_ins():
    return Annotated, Several


def real_ones():
    anndata, mudata = pytest.importorskip("anndata"), pytest.importorskip("mudata")

    def annotated(x, obs_names, var_names):
        return anndata.AnnData(x, pandas.DataFrame(index=obs_names), pandas.DataFrame(index=var_names))

    def several(mod):
        return mudata.MuData(mod)

    return annotated, several


@pytest.fixture(params=[stand_ins, real_ones])
def kinds(request):
    return request.param()


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float32", "float64"])
@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_matrix])
def test_x_of_an_anndata_is_counts_in_every_type_and_form(kinds, dtype, form):
    annotated, _ = kinds
    data = mmtf.from_arrays({"rna": annotated(form(COUNTS.astype(dtype)), ROWS, GENES), "y": Y})
    expected = mmtf.from_arrays({"rna": pandas.DataFrame(COUNTS.astype(float), columns=GENES), "y": Y})
    assert data.modalities == expected.modalities
    assert data.modalities[0].likelihood == "negative_binomial"
    np.testing.assert_array_equal(data.train.pools["rna"], expected.train.pools["rna"])


def test_cells_and_labels_are_paired_by_name(kinds):
    annotated, _ = kinds
    order = RNG.permutation(N)
    rna, y = annotated(COUNTS.astype("f4"), ROWS, GENES), annotated(Y[order], [ROWS[k] for k in order], list("abc"))
    label = pandas.Series([k % 3 for k in order], index=[ROWS[k] for k in order])
    data = mmtf.from_arrays({"rna": rna, "y": y}, labels=label)
    expected = mmtf.from_arrays({"rna": COUNTS.astype("f4"), "y": Y}, labels=np.arange(N) % 3)
    np.testing.assert_array_equal(data.train.pools["y"], expected.train.pools["y"])
    np.testing.assert_array_equal(data.train.label, expected.train.label)


def test_verbs_find_genes_by_name(kinds):
    annotated, _ = kinds
    model = model_of(mmtf.from_arrays({"rna": annotated(COUNTS.astype("f4"), ROWS, GENES), "y": Y}))
    table = annotated(scipy.sparse.csr_matrix(COUNTS[:, ::-1]), ROWS, GENES[::-1])
    np.testing.assert_array_equal(codes(model, table, "rna"), codes(model, COUNTS.astype("f4"), "rna"))


def test_a_mudata_gives_modalities_and_who_lacks_them(kinds):
    annotated, several = kinds
    mdata = several({"rna": annotated(COUNTS[:30].astype("f4"), ROWS[:30], GENES), "x": annotated(X[10:], ROWS[10:], NAMES)})
    data = mmtf.from_arrays(mdata, test=np.arange(N) % 5 == 0)
    place = {name: k for k, name in enumerate(mdata.obs_names)}
    in_order = np.argsort([place[name] for name in ROWS])
    wanted = {"rna": (in_order < 30), "x": in_order >= 10}
    for name, there in wanted.items():
        np.testing.assert_array_equal(data.train.mask[name], there[np.arange(N) % 5 > 0])
        np.testing.assert_array_equal(data.test.mask[name], there[::5])
    whole = {"rna": COUNTS, "x": X}
    for name, values in whole.items():
        rows = in_order[np.arange(N) % 5 > 0][data.train.mask[name]]
        np.testing.assert_array_equal(data.train.pools[name][data.train.mask[name]], values[rows].astype("f4"))
    model = model_of(data)
    values = {name: values[in_order] for name, values in whole.items()}
    np.testing.assert_array_equal(model.posterior(mdata).mean(), model.posterior(values, mask=wanted).mean())
    np.testing.assert_array_equal(model.translate(mdata, to=["x"])["x"], model.translate(values, to=["x"], mask=wanted)["x"])


def test_own_masks_and_those_of_a_mudata_hold_together(kinds):
    annotated, several = kinds
    mdata = several({"rna": annotated(COUNTS[:30].astype("f4"), ROWS[:30], GENES), "x": annotated(X, ROWS, NAMES)})
    own = pandas.Series(np.arange(N) % 2 == 0, index=ROWS)
    data = mmtf.from_arrays(mdata, masks={"rna": own}, test=[0, 1])
    place = [ROWS.index(name) for name in mdata.obs_names][2:]
    np.testing.assert_array_equal(data.train.mask["rna"], [k < 30 and k % 2 == 0 for k in place])


def test_masks_that_are_not_of_the_mudatas_rows_are_refused(kinds):
    annotated, several = kinds
    mdata = several({"rna": annotated(COUNTS.astype("f4"), ROWS, GENES), "x": annotated(X, ROWS, NAMES)})
    others = pandas.Series(np.ones(N, bool), index=[f"other{k}" for k in range(N)])
    for mask, said in ((others, "other names"), (np.ones(3, bool), "needs 40 booleans"), (np.ones(N), "not float64")):
        with pytest.raises(UserError, match=said):
            mmtf.from_arrays(mdata, masks={"rna": mask})


def test_what_cannot_be_read_is_refused_with_what_to_do(kinds):
    annotated, several = kinds
    empty = Annotated(None, ROWS, GENES)
    empty.layers = {"counts": COUNTS}
    with pytest.raises(UserError, match=r"An AnnData without X: set adata.X, or give one of its layers \('counts'\)"):
        mmtf.from_arrays({"rna": empty, "y": Y})
    mdata = several({"rna": annotated(COUNTS.astype("f4"), ROWS, GENES), "x": annotated(X, ROWS, NAMES)})
    with pytest.raises(UserError, match=r"cells: a MuData, .*from_arrays\(mdata\)"):
        mmtf.from_arrays({"cells": mdata, "y": Y})
    by_genes = Several({"rna": Annotated(COUNTS, ROWS, GENES)})
    by_genes.axis = 1
    with pytest.raises(UserError, match="share variables"):
        mmtf.from_arrays(by_genes)
