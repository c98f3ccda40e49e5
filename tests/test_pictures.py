"""Which examples are shown, and how their values are turned into pictures or strings."""

import numpy as np
import pytest
import toys

from mmtf import pictures
from mmtf.data import text
from mmtf.data.dataset import Split
from mmtf.modality import Modality


def split(label, n=30):
    return Split({"a": np.zeros((n, 2))}, {"a": np.arange(n)}, label)


def test_each_class_is_shown_once_before_any_is_shown_twice():
    label = np.repeat([3, 1, 2], 10)
    chosen = pictures.chosen(split(label))
    assert len(chosen) == len(set(chosen)) == pictures.EXAMPLES
    assert list(label[chosen[:3]]) == [1, 2, 3]
    assert list(pictures.chosen(split(np.arange(30)))) == list(range(10))
    assert len(pictures.chosen(split(np.zeros(4, int), 4))) == 4


@pytest.mark.parametrize("label", [None, np.eye(30, dtype=int)])
def test_without_classes_the_first_examples_are_shown(label):
    assert list(pictures.chosen(split(label))) == list(range(10))


def test_values_are_shown_by_their_kind_unless_the_data_set_knows_better():
    words = Modality("word", (3,), "categorical", num_classes=len(text.ALPHABET), alphabet=text.ALPHABET)
    assert pictures.to_show(words, text.encode(["abc"], 3)) == ["abc"]
    image = Modality("image", (2, 2, 1))
    shown = pictures.to_show(image, np.array([[[[-1.0], [0.5]], [[2.0], [1.0]]]]))
    np.testing.assert_array_equal(shown.ravel(), [0.0, 0.5, 1.0, 1.0])
    assert pictures.to_show(image, np.zeros((1, 2, 2, 1)), {"image": lambda x: ["dark"] * len(x)}) == ["dark"]


def test_numbers_get_the_distribution_of_their_columns():
    """The toy model has a vector: its own show function, and a figure of its four columns."""
    model, values = toys.model("mmjsd", 2), toys.values(12)
    show = {"vector": lambda x: [f"{row[0]:.1f}" for row in x], "text": lambda x: ["".join(map(str, row)) for row in x]}
    drawn = pictures.of_model(model, Split(values, {n: np.arange(12) for n in values}, np.arange(12) % 3), show)
    assert len(drawn["columns_vector"].axes) == 4
    assert {"examples", "random_image", "reconstruction", "from_vector", "swap_image", "factors_image"} <= set(drawn)


def test_nothing_is_drawn_where_no_example_is_complete():
    values = toys.values(4)
    mask = {"vector": np.ones(4, bool), "image": np.array([0, 1, 0, 1], bool), "text": np.array([1, 0, 1, 0], bool)}
    incomplete = Split(values, {n: np.arange(4) for n in values}, np.arange(4), mask)
    assert pictures.of_model(toys.model("mmvae"), incomplete) == {}
