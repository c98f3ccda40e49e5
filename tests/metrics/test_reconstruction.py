"""Reconstruction errors by hand, in the unit of the data."""

import numpy as np
import pytest

from mmtf.metrics import reconstruction as r


def test_images_are_compared_in_0_to_1_whatever_their_type():
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 3, 1), dtype=np.uint8)
    worse = np.clip(images.astype(int) + 20, 0, 255).astype(np.uint8)
    expected = [
        np.mean([(float(a) - float(b)) ** 2 for a, b in zip(x.ravel(), y.ravel(), strict=True)])
        for x, y in zip(images, worse, strict=True)
    ]
    found = r.squared_errors(images, worse)
    np.testing.assert_allclose(found, np.array(expected) / 255**2)
    np.testing.assert_allclose(r.squared_errors(images, worse / 255), found)
    np.testing.assert_allclose(r.squared_errors((images / 255).astype(np.float32), worse), found, rtol=1e-5)
    assert r.squared_errors(images * 0, np.full_like(images, 255)) == pytest.approx(np.ones(5))


def test_other_numbers_are_compared_as_they_are():
    np.testing.assert_allclose(r.squared_errors([[100.0, 0.0], [3.0, 4.0]], [[0.0, 0.0], [3.0, 5.0]]), [5000.0, 0.5])
    np.testing.assert_allclose(r.squared_errors([1.0, 2.0], [1.5, 2.0]), [0.25, 0.0])


def test_the_mean_is_a_constants_variance():
    values = np.random.default_rng(0).normal(size=(400, 7))
    constant = np.tile(values.mean(axis=0), (400, 1))
    assert r.mean_error(r.squared_errors(values, constant)).value == pytest.approx(values.var(axis=0).mean())


def test_wrong_characters_are_counted():
    texts = np.array([[1, 2, 3, 0], [4, 4, 0, 0]])
    found = np.array([[1, 2, 2, 0], [0, 1, 2, 3]])
    np.testing.assert_allclose(r.character_errors(texts, found), [0.25, 1.0])
    np.testing.assert_allclose(r.character_errors(texts, np.log(0.1 + np.eye(5)[found])), [0.25, 1.0])
    chance = r.character_errors(*np.random.default_rng(0).integers(0, 5, (2, 4000, 8)))
    assert chance.mean() == pytest.approx(0.8, abs=0.01)


def test_intervals_stay_within_what_can_be():
    errors = np.append(np.zeros(39), 0.9)
    found = r.mean_error(errors, largest=1.0)
    assert found.low == 0.0
    assert found.value < found.high <= 1.0
    names = np.repeat(np.arange(20), 5)
    noisy = np.random.default_rng(0).uniform(size=20)[names]
    assert r.mean_error(noisy, clusters=names).standard_error > 2 * r.mean_error(noisy).standard_error


IMAGE = np.zeros((2, 3), np.uint8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: r.squared_errors(IMAGE, IMAGE[:1]), r"\(2, 3\) and \(1, 3\)"),
        (lambda: r.squared_errors(IMAGE, np.full((2, 3), 200.0)), "run 200..200; divide them by 255"),
        (lambda: r.squared_errors(IMAGE, np.full((2, 3), np.nan)), "reconstructions: wanted finite"),
        (lambda: r.squared_errors([["a"]], [["b"]]), "values: wanted finite"),
        (lambda: r.squared_errors([], []), r"\(0,\)"),
        (lambda: r.character_errors([[0.5]], [[1]]), "texts: wanted class indices"),
        (lambda: r.character_errors([[1, 2]], [[1]]), r"class indices \(1, 2\).*\(1, 1\)"),
        (lambda: r.character_errors([[1]], [[[0.1, np.nan]]]), "some are NaN"),
        (lambda: r.character_errors([[1]], [[0.3]]), "not float64"),
        (lambda: r.mean_error([0.1, -0.2]), "outside the limits"),
        (lambda: r.mean_error([0.1, 1.2], largest=1.0), "outside the limits 0..1"),
    ],
)
def test_what_is_no_reconstruction_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
