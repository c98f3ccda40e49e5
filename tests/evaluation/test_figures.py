"""Which examples are shown, and how their values are turned into pictures or strings."""

import numpy as np
import pytest
import toys
from known_codes import SHOW, Known, read
from known_codes import split as known_split

from mmtf import text
from mmtf.data.dataset import Split
from mmtf.evaluation import figures as model_figures
from mmtf.modality import Modality
from mmtf.report import figures


def split(label, n=30):
    return Split({"a": np.zeros((n, 2))}, {"a": np.arange(n)}, label)


def test_each_class_is_shown_once_before_any_is_shown_twice():
    label = np.repeat([3, 1, 2], 10)
    chosen = model_figures.chosen(split(label))
    assert len(chosen) == len(set(chosen)) == model_figures.EXAMPLES
    assert list(label[chosen[:3]]) == [1, 2, 3]
    assert list(model_figures.chosen(split(np.arange(30)))) == list(range(10))
    assert len(model_figures.chosen(split(np.zeros(4, int), 4))) == 4


@pytest.mark.parametrize("label", [None, np.eye(30, dtype=int)])
def test_without_classes_the_first_examples_are_shown(label):
    assert list(model_figures.chosen(split(label))) == list(range(10))


def test_values_are_shown_by_their_kind_unless_the_data_set_knows_better():
    words = Modality("word", (3,), "categorical", num_classes=len(text.ALPHABET), alphabet=text.ALPHABET)
    assert model_figures.to_show(words, text.encode(["abc"], 3)) == ["abc"]
    image = Modality("image", (2, 2, 1))
    shown = model_figures.to_show(image, np.array([[[[-1.0], [0.5]], [[2.0], [1.0]]]]))
    np.testing.assert_array_equal(shown.ravel(), [0.0, 0.5, 1.0, 1.0])
    assert model_figures.to_show(image, np.zeros((1, 2, 2, 1)), {"image": lambda x: ["dark"] * len(x)}) == ["dark"]


def test_numbers_get_the_distribution_of_their_columns():
    """The toy model has a vector: its own show function, and a figure of its four columns."""
    model, values = toys.model("mmjsd", 2), toys.values(12)
    show = {"vector": lambda x: [f"{row[0]:.1f}" for row in x], "text": lambda x: ["".join(map(str, row)) for row in x]}
    drawn = model_figures.of_model(model, Split(values, {n: np.arange(12) for n in values}, np.arange(12) % 3), show)
    assert len(drawn["columns_vector"].axes) == 4
    assert {"examples", "random_image", "reconstruction", "from_vector", "swap_image", "factors_image"} <= set(drawn)


def test_nothing_is_drawn_where_no_example_is_complete():
    values = toys.values(4)
    mask = {"vector": np.ones(4, bool), "image": np.array([0, 1, 0, 1], bool), "text": np.array([1, 0, 1, 0], bool)}
    incomplete = Split(values, {n: np.arange(4) for n in values}, np.arange(4), mask)
    assert model_figures.of_model(toys.model("mmvae"), incomplete) == {}


@pytest.fixture
def drawn(monkeypatch):
    """What grids are given, by the name of the function that draws them."""
    given = {}
    for name in ("swap_grid", "columns_grid", "cross_generation_grid"):
        monkeypatch.setattr(figures, name, lambda *arguments, name=name: given.setdefault(name, []).append(arguments))
    return given


def test_a_swap_has_the_shared_code_of_its_column_and_the_private_one_of_its_row(drawn):
    values = known_split(3).take(np.arange(3))
    assert list(model_figures._Drawing(Known(), SHOW).swaps(values)) == ["swap_a"]
    ((contents, styles, rows),) = drawn["swap_grid"]
    assert contents == styles == SHOW["a"](values["a"])
    for style, row in zip(values["a"], rows, strict=True):
        wanted = [np.concatenate([content[:4], style[4:]]) for content in values["a"]]
        np.testing.assert_allclose(read(row), wanted, atol=1e-3)


def test_factors_keep_the_shared_code_and_change_the_style(drawn):
    values, model = known_split(3).take(np.arange(3)), Known()
    assert list(model_figures._Drawing(model, SHOW).factors(values)) == ["factors_a"]
    ((shown,),) = drawn["columns_grid"]
    shared, styles = values["a"][:, :4], np.asarray(model.sample_private_prior(3, None)["a"])
    assert {name: list(columns) for name, columns in shown.items()} == {
        "a": ["given", "same style", "other style"],
        "b": ["decoded"],
    }
    for title, style in (("given", values["a"][:, 4:]), ("same style", values["a"][:, 4:]), ("other style", styles)):
        np.testing.assert_allclose(read(shown["a"][title]), np.concatenate([shared, style], axis=1), atol=1e-3)
    np.testing.assert_allclose(read(shown["b"]["decoded"]), np.concatenate([shared, np.zeros((3, 2))], axis=1), atol=1e-3)


def test_samples_stand_in_the_row_of_what_they_were_made_from(drawn):
    values = known_split(3).take(np.arange(3))
    assert list(model_figures._Drawing(Known(), SHOW).cross(values)) == ["from_a", "from_b"]
    for (source, sources, samples), (name, target) in zip(drawn["cross_generation_grid"], ("ab", "ba"), strict=True):
        assert (source, list(samples)) == (name, [target])
        assert sources == SHOW[name](values[name])
        for k, row in enumerate(samples[target]):
            found = read(row)
            np.testing.assert_allclose(found[:, :5], np.tile(values[name][k, :5], (model_figures.PER_SOURCE, 1)), atol=1e-3)
            # Each with noise of its own.
            np.testing.assert_array_equal(found[:, 5], k * model_figures.PER_SOURCE + np.arange(model_figures.PER_SOURCE))
