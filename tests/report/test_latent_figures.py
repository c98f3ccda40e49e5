"""The latent map keeps apart what is apart, and a traversal shows the very codes that it names."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from sklearn.neighbors import KNeighborsClassifier

from mmtf.report import figures, latent

NAMES = ("zero", "one", "two")


def clusters(count=40, apart=8.0, seed=0):
    """Three clouds in six dimensions, and the class of each point."""
    rng, label = np.random.default_rng(seed), np.arange(3 * count) % 3
    return apart * np.eye(6)[label] + rng.normal(size=(3 * count, 6)), label


def points(axes):
    """(places [N, 2], class names [N]) of a panel's points."""
    parts = [(c.get_offsets().data, c.get_label()) for c in axes.collections if not c.get_label().startswith("_")]
    return np.concatenate([xy for xy, _ in parts]), np.concatenate([[name] * len(xy) for xy, name in parts])


def test_clusters_that_are_apart_stay_apart_in_every_panel_and_lie_at_one_place():
    """The class of a point in one panel is that of its neighbours in the other: all panels are one map."""
    codes, label = clusters()
    figure = latent.latent_map({"a": codes, "a,b": codes + 0.01}, label, NAMES)
    first, second = (points(axes) for axes in figure.axes)
    for (xy, names), (other, expected) in ((first, second), (second, first)):
        assert KNeighborsClassifier(3).fit(xy, names).score(other, expected) == 1.0
    assert {axes.get_title() for axes in figure.axes} == {"a", "a,b"}
    assert [t.get_text() for t in figure.legends[0].get_texts()] == list(NAMES)
    # Behind them lie the codes of all panels.
    behind = figure.axes[0].collections[0].get_offsets().data
    np.testing.assert_array_equal(np.sort(behind, axis=0), np.sort(np.concatenate([first[0], second[0]]), axis=0))
    # Each class as often as it is there.
    assert {n: int((first[1] == n).sum()) for n in NAMES} == dict.fromkeys(NAMES, 40)


def test_classes_that_are_one_are_not_told_apart():
    codes, label = clusters(apart=0.0)
    xy, names = points(latent.latent_map({"a": codes}, label, NAMES).axes[0])
    half = len(xy) // 2
    order = np.random.default_rng(1).permutation(len(xy))
    fitted = KNeighborsClassifier(3).fit(xy[order[:half]], names[order[:half]])
    assert fitted.score(xy[order[half:]], names[order[half:]]) < 0.6


def test_the_map_is_a_function_of_its_seed():
    codes, _ = clusters()
    np.testing.assert_array_equal(latent.embedded(codes, seed=3), latent.embedded(codes, seed=3))


def test_a_code_of_one_dimension_has_a_map():
    assert np.isfinite(latent.embedded(np.arange(9.0)[:, None])).all()


def test_of_many_classes_the_rare_ones_are_grey():
    label = np.concatenate([np.repeat(np.arange(latent.MOST_COLOURS), 3), [30, 31]])
    (axes,) = latent.latent_map({"a": np.random.default_rng(0).normal(size=(len(label), 3))}, label).axes
    others, *told = axes.collections
    assert (others.get_label(), len(others.get_offsets())) == ("others", 2)
    np.testing.assert_allclose(others.get_facecolor()[0][:3], to_rgb(latent.GREY))
    assert [c.get_label() for c in told] == [str(i) for i in range(latent.MOST_COLOURS)]
    assert len({tuple(c.get_facecolor()[0]) for c in told}) == latent.MOST_COLOURS


def test_without_labels_there_is_one_colour_and_no_legend():
    figure = latent.latent_map({"a": clusters()[0]})
    assert (len(figure.axes[0].collections), figure.legends) == (1, [])


@pytest.mark.parametrize("count", [1, 4, 5, 8])
def test_nothing_leaves_the_figure(count):
    codes, label = clusters(10)
    names = ["a class of a long name", "$two_", "three"]
    figure = latent.latent_map({f"modality_{i}": codes for i in range(count)}, label, names)
    height, width, _ = figures.to_image(figure).shape
    box = figure.get_tightbbox()
    assert min(box.x0, box.y0) * latent.DPI >= -1
    assert (box.x1 * latent.DPI, box.y1 * latent.DPI) <= (width + 1, height + 1)


@pytest.mark.parametrize(
    ("codes", "label", "message"),
    [
        ({}, None, "Wanted codes"),
        ({"a": np.zeros((9, 2)), "b": np.zeros((8, 2))}, None, r"not \[\(8, 2\), \(9, 2\)\]"),
        ({"a": np.full((9, 2), np.nan)}, None, "NaN or infinite"),
        ({"a": np.zeros((9, 2))}, np.zeros(8, int), "one class for each of 9 codes"),
        ({"a": np.zeros((9, 2))}, np.zeros((9, 2), int), "one class for each of 9 codes"),
        ({"a": np.zeros((3, 2))}, None, "at least 4 codes, not 3"),
    ],
)
def test_what_cannot_be_mapped_is_said(codes, label, message):
    with pytest.raises(ValueError, match=message):
        latent.latent_map(codes, label)


def test_the_most_varied_dimensions_come_first():
    means = np.random.default_rng(0).normal(size=(500, 5)) * [0.1, 3.0, 0.0, 1.0, 2.0] + [9.0, 0.0, 50.0, 0.0, 0.0]
    assert list(latent.most_varied(means, 3)) == [1, 4, 3]
    assert list(latent.most_varied(means, 9)) == [1, 4, 3, 0, 2]


def test_codes_along_a_dimension_differ_in_it_alone():
    codes = latent.along(np.array([5.0, 6.0, 7.0]), [2, 0], [-3.0, 0.0, 3.0])
    np.testing.assert_array_equal(codes[0], [[5, 6, -3], [5, 6, 0], [5, 6, 3]])
    np.testing.assert_array_equal(codes[1], [[-3, 6, 7], [0, 6, 7], [3, 6, 7]])


def test_a_traversal_shows_each_value_at_its_place():
    """Grey levels that say which dimension and place they are of, in the order of rows and columns."""
    images = np.arange(6, dtype=np.uint8).reshape(2, 3, 1, 1, 1) * 40 + 20
    images = np.broadcast_to(images, (2, 3, 8, 8, 1))
    figure = latent.traversal_grid({"shared 4": images[0], "private 0": images[1]}, [-3.0, 0.0, 3.0])
    pixels = figures.to_image(figure)[..., 0]
    centres = {}
    for level in images[:, :, 0, 0, 0].ravel():
        rows, columns = np.nonzero(pixels == level)
        if len(rows):
            # Edges of letters have greys too; the median is within the block of 96 x 96.
            centres[int(level)] = (np.median(rows), np.median(columns))
    down = [[centres[int(v)][0] for v in row] for row in images[:, :, 0, 0, 0]]
    right = [[centres[int(v)][1] for v in row] for row in images[:, :, 0, 0, 0]]
    assert max(down[0]) < min(down[1])
    assert all(row == sorted(row) and len(set(row)) == 3 for row in right)
    words = [t.get_text() for t in figure.axes[0].texts]
    assert [w for w in words if w in ("-3", "0", "+3")] == ["-3", "0", "+3"]
    assert {"shared 4", "private 0", "standard deviations"} <= set(words)


@pytest.mark.parametrize(
    ("rows", "message"), [({}, "at least one dimension"), ({"a": ["x", "y"], "b": ["x"]}, r"wants 2 values.*\[2, 1\]")]
)
def test_a_traversal_that_does_not_fit_is_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        latent.traversal_grid(rows, [-1.0, 1.0])
