"""Pictures of codes: a traversal decodes the codes that it names, and the map is of the posteriors' means."""

import numpy as np
import pytest
import toys
from known_codes import SHOW, Known, read, split

from mmtf.data.dataset import Split
from mmtf.evaluation import figures as model_figures
from mmtf.report import latent


def test_a_traversal_changes_one_dimension_and_nothing_else(monkeypatch):
    drawn = {}
    monkeypatch.setattr(latent, "traversal_grid", lambda rows, at: drawn.setdefault(len(drawn), (rows, at)))
    model, data = Known(), split(label=np.arange(40)[::-1].copy() % 4)
    model_figures.of_codes(model, data, show=SHOW)
    rows, at = drawn[0]
    # Most varied first; the prior's deviation is 2, so that the places are -6 to 6.
    assert list(rows) == ["shared 1", "shared 3", "shared 0", "shared 2", "private 1", "private 0"]
    assert at == model_figures.STEPS
    base = data.pools["a"][model_figures.chosen(data)[0]]
    for title, shown in rows.items():
        kind, dimension = title.split()
        place = int(dimension) + (4 if kind == "private" else 0)
        expected = np.tile(base, (7, 1))
        expected[:, place] = 2.0 * np.array(at)
        np.testing.assert_allclose(read(shown), expected, atol=1e-3)
    assert list(drawn[1][0]) == ["shared 1", "shared 3", "shared 0", "shared 2"]
    assert model.asked["b"][1] is None


def test_the_map_is_of_each_modality_and_of_all(monkeypatch):
    seen = {}
    monkeypatch.setattr(
        latent, "latent_map", lambda means, label, names, seed: seen.update(means=means, label=label, names=names)
    )
    monkeypatch.setattr(model_figures, "POINTS", 60)
    label = np.arange(40) % 4
    data = split(label=label)
    model_figures.of_codes(Known(), data, tuple("wxyz"), SHOW)
    means = seen["means"]
    assert list(means) == ["a", "b", "a,b"]
    assert {x.shape for x in means.values()} == {(20, 4)}  # 60 points in three panels
    np.testing.assert_array_equal(means["a"], -means["b"])
    np.testing.assert_array_equal(means["a"], means["a,b"])
    # Each code stands beside the label of its own example; examples are drawn, not the first ones.
    rows = [int(np.flatnonzero((data.pools["a"][:, :4] == code).all(1))[0]) for code in means["a"]]
    np.testing.assert_array_equal(seen["label"], label[rows])
    assert rows != list(range(20))
    assert len(set(rows)) == 20
    assert seen["names"] == tuple("wxyz")


def test_of_attributes_the_one_that_parts_best_gives_the_colours():
    label = np.array([[0, 1, 1], [0, 0, 1], [0, 1, 1], [1, 0, 1]])
    chosen, names = model_figures._classes(label, ("bald", "young", "human"))
    np.testing.assert_array_equal(chosen, [1, 0, 1, 0])
    assert names == ("not young", "young")
    assert model_figures._classes(None, ()) == (None, ())


@pytest.mark.parametrize(("kind", "private"), [("mmjsd", 2), ("mvae", 0), ("mmvae_iw", 2)])
def test_models_have_these_pictures(kind, private):
    model, values = toys.model(kind, private), toys.values(12)
    show = {"vector": lambda x: [f"{row[0]:.1f}" for row in x], "text": lambda x: ["".join(map(str, row)) for row in x]}
    data = Split(values, {n: np.arange(12) for n in values}, np.arange(12) % 3)
    drawn = model_figures.of_codes(model, data, (), show)
    assert set(drawn) == {"latent_map", "traversal_vector", "traversal_image", "traversal_text"}
    titles = [t.get_text() for t in drawn["traversal_image"].axes[0].texts]
    assert sum(t.startswith("shared") for t in titles) == toys.SHARED
    assert sum(t.startswith("private") for t in titles) == private


def test_incomplete_examples_and_too_few_are_left_out():
    values = toys.values(4)
    mask = {"vector": np.ones(4, bool), "image": np.array([0, 1, 0, 1], bool), "text": np.array([1, 0, 1, 0], bool)}
    assert model_figures.of_codes(toys.model("mmvae"), Split(values, {n: np.arange(4) for n in values}, None, mask)) == {}
