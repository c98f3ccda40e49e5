"""Arrays that do not fit the modalities are refused by name."""

import numpy as np
import pytest
import toys

from mmtf.modality import Modality
from mmtf.models.checks import check_values

MODALITIES = (
    Modality("image", (2, 2, 1)),
    Modality("drawing", (2,), "bernoulli"),
    Modality("word", (3,), "categorical", num_classes=4),
)


def values(**changes):
    good = {
        "image": np.zeros((5, 2, 2, 1), np.float32),
        "drawing": np.ones((5, 2), np.float64),
        "word": np.full((5, 3), 3, np.int64),
    }
    return good | changes


def test_good_values_pass():
    check_values(values(), MODALITIES)
    check_values(values(image=np.full((5, 2, 2, 1), -7.0), drawing=np.ones((5, 2), np.uint8)), MODALITIES)
    check_values(values(image=np.full((5, 2, 2, 1), 255, np.uint8), drawing=np.ones((5, 2), bool)), MODALITIES)
    check_values(values(drawing=np.ones((5, 2), np.int64), word=np.zeros((5, 3), np.uint8)), MODALITIES)
    check_values(values(word=np.full((5, 3), 2.0)), MODALITIES)
    check_values({name: value[:0] for name, value in values().items()}, MODALITIES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sound": np.zeros(5)}, "values: unknown modality 'sound'; the modalities are: image, drawing, word"),
        ({"image": np.zeros((5, 2, 2), np.uint8)}, r"image: wanted an array of shape \[N, 2, 2, 1\], not \(5, 2, 2\)"),
        ({"drawing": np.float32(1)}, r"drawing: wanted an array of shape \[N, 2\], not \(\)"),
        ({"word": np.zeros((4, 3), int)}, "word: 4 examples, but image has 5"),
        ({"image": np.zeros((5, 2, 2, 1), int)}, "image: wanted pixels as uint8 in .* for a laplace .* not int64"),
        ({"word": np.full((5, 3), 0.5)}, "word: wanted integer class indices, but there are fractions"),
        ({"word": np.full((5, 3), np.nan)}, "word: wanted integer class indices, but there are fractions or NaN"),
        ({"word": np.full((5, 3), "a")}, "word: wanted integer class indices for a categorical .* not <U1"),
        ({"drawing": np.full((5, 2), 255, np.uint8)}, r"drawing: a bernoulli likelihood needs values in 0\.\.1"),
        ({"word": np.full((5, 3), 4)}, r"word: class indices must be in 0\.\.3, but run 4\.\.4"),
        ({"word": np.full((5, 3), -1)}, r"word: class indices must be in 0\.\.3, but run -1\.\.-1"),
        ({"drawing": np.full((5, 2), 1.5)}, r"drawing: a bernoulli likelihood needs values in 0\.\.1, .* 1\.5\.\.1\.5"),
        ({"drawing": np.full((5, 2), np.nan)}, "drawing: wanted finite values"),
        ({"image": np.full((5, 2, 2, 1), np.inf)}, "image: wanted finite values"),
    ],
)
def test_bad_values_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        check_values(values(**changes), MODALITIES)


def test_a_missing_modality_is_named():
    with pytest.raises(ValueError, match="values: modality 'word' is missing"):
        check_values({name: v for name, v in values().items() if name != "word"}, MODALITIES)


def test_what_the_mask_hides_may_be_anything():
    image = values()["image"]
    image[3] = np.nan
    hidden = np.arange(5) != 3
    check_values(values(image=image), MODALITIES, {"image": hidden})
    check_values(values(word=np.array([[0] * 3] * 3 + [[9] * 3] + [[0] * 3])), MODALITIES, {"word": hidden})
    with pytest.raises(ValueError, match="image: wanted finite values"):
        check_values(values(image=image), MODALITIES, {"word": hidden})


def test_a_bad_mask_is_named():
    with pytest.raises(ValueError, match="mask: unknown modality 'sound'"):
        check_values(values(), MODALITIES, {"sound": np.ones(5, bool)})
    for mask in (np.ones(4, bool), np.ones(5, int), np.ones((5, 1), bool)):
        with pytest.raises(ValueError, match=r"image: wanted a bool mask of shape \(5,\)"):
            check_values(values(), MODALITIES, {"image": mask})


def test_the_verbs_check_what_they_are_given():
    """A wrong array meets the same sentence at the model as at the door of the data."""
    model, good = toys.model(), toys.values(4)
    for verb in (model.encode, model.posterior, model.reconstruct, model.translate):
        with pytest.raises(ValueError, match="vector: wanted finite values"):
            verb(good | {"vector": np.full((4, 4), np.nan, np.float32)})
        with pytest.raises(ValueError, match=r"image: wanted an array of shape \[N, 2, 2, 1\], not \(4, 2, 2\)"):
            verb({"image": np.zeros((4, 2, 2), np.float32)})
        with pytest.raises(ValueError, match="text: class indices must be in 0..4"):
            verb({"text": np.full((4, 3), 5)})
        with pytest.raises(ValueError, match="vector: 4 examples|text: 3 examples"):
            verb(good | {"text": good["text"][:3]})
        with pytest.raises(ValueError, match="Unknown modality 'sound'; this model has: vector, image, text"):
            verb({"sound": np.zeros([2])})
        with pytest.raises(ValueError, match="An empty subset"):
            verb({})
    with pytest.raises(ValueError, match="example 2 has none of the modalities"):
        model.posterior({"vector": good["vector"]}, mask={"vector": np.array([True, True, False, True])})


def test_subsets_are_checked():
    model, good = toys.model(), toys.values(4)
    for subset, message in (
        ([], "An empty subset"),
        (["sound"], "Unknown modality 'sound'"),
        (["text", "text"], "named twice"),
    ):
        with pytest.raises(ValueError, match=message):
            model.posterior(good, subset)
    with pytest.raises(ValueError, match="names 'text', but only vector were given"):
        model.posterior({"vector": good["vector"]}, ["text"])
    with pytest.raises(ValueError, match="Unknown modality 'sound'"):
        model.translate(good, to=["sound"])
