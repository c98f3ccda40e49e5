"""The card beside a model: what the run knows, with numbers of the right step and no folder of the machine."""

import json
import re

import pytest
import small_served

from mmtf import registry
from mmtf.runs import RunDirectory
from mmtf.serving import card
from mmtf.verbs.export import EXTRA


@pytest.fixture
def run(small_run, tmp_path):
    """A run without a training.json or a metrics.json."""
    for name in ("config.json", "modalities.json", "data.json"):
        (tmp_path / name).write_bytes((small_run.path / name).read_bytes())
    return RunDirectory(tmp_path)


def test_the_card_holds_what_the_run_knows(small_run, small_export):
    found = json.loads((small_export / EXTRA / "model_card.json").read_text())
    assert found["configuration"] == card.without_places(small_run.config().to_json())
    assert found["training"] == small_run.read_json("training.json")
    assert found["data"]["digests"] == small_run.read_json("data.json")["digests"]
    assert [m["name"] for m in found["model"]["modalities"]] == list(small_served.NAMES)
    assert found["metrics"] == {}
    text = (small_export / EXTRA / "model_card.md").read_text()
    for needed in ("# mvae on arrays, step 2", "The user's own data", "Apache-2.0", "Nothing was measured",
                   "do not decide about people", found["data"]["digests"]["test"]["vector"], '"shared_dim": 4',
                   "test examples"):  # fmt: skip
        assert needed in text, needed


def test_the_card_shows_numbers_with_their_intervals_and_the_step_that_they_are_of(run):
    measured = {
        "step": 7,
        "probe": {"digit": 0.9},
        "coherence": {"random": 0.25, "word<-digit": 0.5},
        "coherence_interval": {"random": [0.2, 0.3]},
        "likelihood": {"joint": {"digit": {"value": -10.5, "standard_error": 0.5, "low": -11.5, "high": -9.5, "samples": 12}}},
        "parts": {"probe": {"seconds": 3}},
    }
    run.write_json("metrics.json", measured)
    found = card.model_card(run, 7)
    assert found["metrics"] == measured
    assert found["training"] == {}
    text = card.as_markdown(found)
    for row in ("| probe digit | 0.9 |  |", "| coherence random | 0.25 | [0.2, 0.3] |", "| coherence word<-digit | 0.5 |  |",
                "| likelihood joint digit | -10.5 | [-11.5, -9.5] |"):  # fmt: skip
        assert row in text, row
    assert "| parts" not in text
    assert "of step" not in text
    assert "These numbers are of step 7." in card.as_markdown(card.model_card(run, 8))


def test_the_card_names_no_folder_of_the_machine(run, tmp_path):
    config = run.config().to_json()
    config["data"] |= {"data_dir": "/home/ada/data"}
    evaluated = {"data_dir": "/home/ada/data", "cache_dir": "/home/ada/cache", "inception_weights": "/home/ada/w.h5", "seed": 3}
    run.write_json("config.json", config)
    run.write_json("metrics.json", {"step": 2, "probe": {"digit": 0.9}, "evaluation": evaluated})
    card.write_card(tmp_path, run, 2)
    for name in ("model_card.json", "model_card.md"):
        assert "/home/" not in (tmp_path / name).read_text()
    found = json.loads((tmp_path / "model_card.json").read_text())
    assert found["metrics"]["evaluation"] == {"seed": 3}
    gone = ("data_dir", "features_dir", "download", "plugin")
    config = {part: {key: x for key, x in values.items() if key not in gone} for part, values in config.items()}
    assert found["configuration"] == config


@pytest.mark.parametrize(
    ("training", "step", "wanted", "unwanted"),
    [
        ({"steps": 2500, "planned_steps": 2500}, 500, ["These numbers are of step 2500."], "stopped"),
        ({"steps": 2500, "planned_steps": 2500}, 2500, [], "stopped|These numbers"),
        ({"steps": 700, "planned_steps": 2500}, 700, ["Training stopped at step 700 of 2500 planned."], "These numbers"),
        ({"steps": 700, "planned_steps": 2500}, 500, ["are of step 700.", "stopped at step 700 of 2500"], "finished"),
        ({"steps": 700}, 700, [], "stopped|These numbers"),
        ({}, 700, ["No training.json: it was not trained by `train`"], "finished|stopped"),
    ],
)
def test_the_card_says_of_which_step_its_training_is(run, training, step, wanted, unwanted):
    text = card.as_markdown(card.model_card(run, step) | {"training": training})
    section = text[text.index("## Training") : text.index("## Measured")]
    assert all(sentence in section for sentence in wanted)
    assert not re.search(unwanted, section)
    assert all(f"- {key}: {value}" in section for key, value in training.items())


@pytest.mark.parametrize("dataset", registry.DATASETS)
def test_every_data_set_has_sentences_on_its_terms(run, dataset):
    config = run.config().to_json()
    config["data"]["dataset"] = dataset
    run.write_json("config.json", config)
    found = card.model_card(run, 2)
    parts = {"mnist_svhn_text": 2, "mnist_svhn": 2}.get(dataset, 1)
    assert len(found["data"]["licence"]) == parts
    assert all(f"- {sentence}" in card.as_markdown(found) for sentence in found["data"]["licence"])


def test_the_terms_of_the_embedded_photographs_are_named():
    assert all(term in registry.licences_of("digits")[0] for term in ("CC BY 2.0", "danielbuechele", "vultilion"))
