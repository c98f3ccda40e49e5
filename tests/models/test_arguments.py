"""Rule: an argument of a verb is right or gets a sentence; a number is a number, whatever library it is of."""

import json

import numpy as np
import pytest
import tensorflow as tf
import toys
from hypothesis import given
from hypothesis import strategies as st

import mmtf
from mmtf.errors import UserError

MODEL = toys.model("mmvae")
GIVEN = {"vector": toys.values(2)["vector"]}


@pytest.mark.parametrize("seed", [5, (1,), (1, 2, 3), (0.5, 1), "ab", [[0, 1]], tf.constant(3), tf.constant([0.0, 1.0])])
@pytest.mark.parametrize(
    "verb",
    [
        lambda seed: MODEL.generate(2, seed=seed),
        lambda seed: MODEL.translate(GIVEN, seed=seed),
        lambda seed: MODEL.reconstruct(GIVEN, seed=seed),
    ],
    ids=["generate", "translate", "reconstruct"],
)
def test_a_seed_is_two_integers(verb, seed):
    with pytest.raises(ValueError, match=r"A seed is two integers, such as seed=\(0, 1\), not"):
        verb(seed)


@pytest.mark.parametrize("n", [0, -1, 2.0, True, "3", np.int64(0), None])
def test_generate_takes_whole_numbers_of_one_or_more(n):
    with pytest.raises(ValueError, match="generate wants a number of samples, 1 or more, not"):
        MODEL.generate(n)


def test_a_sample_wants_a_seed():
    with pytest.raises(ValueError, match="A seed is two integers"):
        MODEL.generate(2, seed=None)


def test_numbers_of_every_library_are_the_same_numbers():
    wanted = MODEL.generate(2, seed=(3, 4))["vector"]
    for n, seed in (
        (np.int64(2), np.array([3, 4])),
        (tf.constant(2), tf.constant([3, 4])),
        (np.uint8(2), [np.int32(3), np.int64(4)]),
    ):
        np.testing.assert_array_equal(MODEL.generate(n, seed=seed)["vector"], wanted)


SCALARS = st.sampled_from([np.float32, np.float64, np.float16, float, lambda x: tf.constant(x), lambda x: np.array(x)])


@given(SCALARS, SCALARS)
def test_fields_of_a_modality_take_any_number_and_are_kept_as_json(one, other):
    kept = {"scale": one(0.5), "likelihood_weight": other(2.0)}
    data = mmtf.from_arrays(DATA, likelihoods={"a": {"likelihood": "normal"} | kept})
    (modality,) = [m for m in data.modalities if m.name == "a"]
    assert (modality.scale, modality.likelihood_weight) == (0.5, 2.0)
    assert type(modality.scale) is float
    json.dumps(modality.__dict__)


DATA = {"a": np.random.default_rng(0).normal(size=(30, 2)), "b": np.random.default_rng(1).normal(size=(30, 3))}


@pytest.mark.parametrize(
    ("location", "wanted"),
    [
        (DATA["a"].mean(0), tuple(DATA["a"].mean(0))),
        ([0, 0], (0.0, 0.0)),
        (np.float32(1), (1.0,)),
        (3, (3.0,)),
        (tf.constant([1.0, 2.0]), (1.0, 2.0)),
    ],
)
def test_units_take_arrays_lists_and_numbers(location, wanted):
    fields = {"likelihood": "normal", "location": location, "spread": [1, 2]}
    (modality, _) = mmtf.from_arrays(DATA, likelihoods={"a": fields}).modalities
    assert (modality.location, modality.spread) == (wanted, (1.0, 2.0))
    json.dumps(modality.__dict__)


def test_options_take_numbers_of_numpy_and_paths(tmp_path):
    options = mmtf.ModelConfig("mmjsd", shared_dim=np.int64(4), beta=np.float32(0.5), private_dim=np.array(2))
    assert (options.shared_dim, options.beta, options.private_dim) == (4, 0.5, 2)
    config = mmtf.Config(mmtf.DataConfig("arrays", data_dir=tmp_path), options, mmtf.TrainConfig(steps=np.int32(3)))
    assert config.data.data_dir == str(tmp_path)
    assert mmtf.Config.from_json(json.loads(json.dumps(config.to_json()))) == config
    for wrong in (np.float64(2.0), np.bool_(True), np.array([1, 2]), "4"):
        with pytest.raises(UserError, match="shared_dim must be of type int"):
            mmtf.ModelConfig("mmjsd", shared_dim=wrong)
