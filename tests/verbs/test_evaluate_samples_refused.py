"""Samples, data and flags with which nothing can be evaluated: refused before any work."""

import dataclasses

import numpy as np
import pytest
import sample_files
from checkout import call
from sample_files import NAMES, WIDTH, write

from mmtf import evaluation
from mmtf.config import DataConfig, EvaluateConfig
from mmtf.data import digits
from mmtf.errors import UserError
from mmtf.verbs.evaluate_samples import evaluate_samples

HOW = EvaluateConfig(quality_samples=600)


@pytest.fixture(scope="module")
def data():
    return sample_files.data()


@pytest.fixture(autouse=True)
def _untouched(monkeypatch):
    """Nobody trains a classifier."""
    monkeypatch.setattr(evaluation.context, "train_classifiers", None)


GOOD = np.zeros((40, WIDTH), np.float32)
REFUSED = {
    "holds no folder random and none of the form from_A,B": {},
    "from_a holds no NAME.npy; the modalities are: a, b, c": {"from_a": {}},
    "wanted NAME.npy of a modality of arrays; they are: a, b, c": {"from_a": {"d": GOOD}},
    "from_d: Unknown modality 'd'": {"from_d": {"a": GOOD}},
    "from_a,a: A modality is named twice": {"from_a,a": {"a": GOOD}},
    "samples stand in folders random and from_A,B": {"form_a": {"a": GOOD}},
    "is not the only folder of what was generated from a,b": {"from_a,b": {"a": GOOD}, "from_b,a": {"a": GOOD}},
    r"a.npy: a: wanted an array of shape \[N, 4\], not \(40, 3\)": {"from_b": {"a": GOOD[:, :3]}},
    "wanted numbers for a normal likelihood, not <U32": {"from_b": {"a": GOOD.astype(str)}},
    "bytes are read as 0..255, but the data set's values are float32": {"from_b": {"a": GOOD.astype(np.uint8)}},
    "wanted finite values, but there is NaN or infinity": {"from_b": {"a": np.where(np.eye(40, 4), np.nan, GOOD)}},
    "there is NaN or infinity": {"random": dict.fromkeys(NAMES, np.full((40, WIDTH), 1e300))},
    "a.npy has 19 rows; 20 samples are the fewest": {"from_b": {"a": GOOD[:19]}},
    "a.npy has 0 rows": {"from_b": {"a": GOOD[:0]}},
    "a.npy has 701 rows, but 700 test examples have b": {"from_b": {"a": np.zeros((701, WIDTH))}},
    "numbers of rows differ: a 40, b 30, c 40": {"random": {"a": GOOD, "b": GOOD[:30], "c": GOOD}},
    "random lacks b.npy.*--modalities=a,c": {"random": {"a": GOOD, "c": GOOD}},
    "holds Python objects": {"from_b": {"a": np.array([{}] * 40)}},
}


@pytest.mark.parametrize("message", REFUSED)
def test_samples_that_do_not_fit_are_refused_at_the_door(tmp_path, data, message):
    tmp_path = tmp_path / "made"
    tmp_path.mkdir()
    with pytest.raises(UserError, match=message):
        evaluate_samples(write(tmp_path, **REFUSED[message]), config=HOW, data=data)
    assert not list(tmp_path.glob("metrics*"))


def test_values_in_another_unit_are_refused(tmp_path):
    own, rng = digits.load(pairings=1, scenes_per_digit=1, test_pairings=1), np.random.default_rng(0)
    image, text = rng.uniform(size=(20, 28, 28, 1)), np.zeros((20, 8), np.int64)
    wrong = [
        ("digit", 255 * image, "floats of an image must be in 0..1, but run .*; rescale them"),
        ("digit", 2 * image - 1, "floats of an image must be in 0..1"),
        ("digit", (image > 0.5).astype(np.uint8), "none is above 1; save floats"),
        ("digit", image.astype(np.int64), "wanted pixels as uint8 in 0..255 or as floats in 0..1"),
        ("digit", image[..., 0], "wanted an array of shape"),
        ("word", text + 99, "class indices must be in"),
        ("word", text + 0.5, "wanted integer class indices"),
    ]
    for k, (name, values, message) in enumerate(wrong):
        with pytest.raises(UserError, match=message):
            evaluate_samples(write(tmp_path / str(k), from_scene={name: values}), data=own)


def test_labels_and_places_by_which_nothing_can_be_told_are_refused(tmp_path, data):
    folder = write(tmp_path / "made", from_a={"b": GOOD})

    def relabelled(label, names=data.class_names):
        parts = {
            part: dataclasses.replace(getattr(data, part), label=label(getattr(data, part).label)) for part in ("train", "test")
        }
        return dataclasses.replace(data, **parts, class_names=names)

    wrong = [
        (lambda c: c * 0, "The 900 training examples are all of one class"),
        (
            lambda c: np.where(np.arange(len(c)) < (len(c) < 800) * 40, 3, c),
            "first 40 test examples that have a are all of one",
        ),
        (lambda c: np.zeros((len(c), 0), int), "labels of arrays are empty"),
        (
            lambda c: np.stack([np.arange(len(c)) >= (len(c) < 800) * 40] * 2, axis=1) * (c[:, None] > 4),
            "Each attribute is there",
        ),
    ]
    for label, message in wrong:
        with pytest.raises(UserError, match=message):
            evaluate_samples(folder, data=relabelled(label))
    with pytest.raises(UserError, match="is not there"):
        evaluate_samples(tmp_path / "none", data=data)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        evaluate_samples(tmp_path / "file", data=data)
    with pytest.raises(UserError, match="--parts names 'probe', but there are coherence, quality, correlation"):
        evaluate_samples(folder, config=EvaluateConfig(parts="probe"), data=data)
    with pytest.raises(UserError, match="--likelihood_samples does nothing for --samples"):
        evaluate_samples(folder, config=EvaluateConfig(likelihood_samples=3), data=data)
    with pytest.raises(UserError, match="--num_modalities does nothing for --dataset=digits"):
        evaluate_samples(folder, DataConfig(num_modalities=3))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    with pytest.raises(UserError, match="is a run of mmtf train"):
        evaluate_samples(tmp_path / "run", data=data)
    with pytest.raises(UserError, match="is a run of mmtf train.*another folder in --output"):
        evaluate_samples(folder, data=data, output=tmp_path / "run")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Wanted --run_dir=RUN, or --samples=FOLDER"),
        (["--run_dir={}/a", "--samples={}/b"], "one of them, and not both"),
        (["--run_dir={}/a", "--dataset=cub"], "--dataset does nothing with --run_dir"),
        (["--run_dir={}/a", "--output={}/b"], "--output does nothing with --run_dir"),
        (["--samples={}/a", "--checkpoint=best"], "--checkpoint does nothing with --samples"),
    ],
)
def test_flags_that_contradict_one_another_are_refused(tmp_path, arguments, message):
    done = call("scripts/evaluate.py", *(a.format(tmp_path) for a in arguments))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []
