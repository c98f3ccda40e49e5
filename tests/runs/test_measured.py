"""metrics.json part by part: evaluations that are stopped go on, and numbers of another making are not taken for one's own."""

import json
import logging

import numpy as np
import pytest
from matplotlib.figure import Figure

from mmtf import evaluation, registry
from mmtf.config import Config, DataConfig, EvaluateConfig, ModelConfig, TrainConfig
from mmtf.data import from_arrays, record
from mmtf.errors import UserError
from mmtf.evaluation import parts as evaluation_parts
from mmtf.metrics import entries, specs
from mmtf.runs import RunDirectory, measured
from mmtf.runs.checkpoint import Checkpoints
from mmtf.runs.measured import Measured, fingerprint
from mmtf.verbs import evaluate

ABOUT = {"model": "m", "seed": 0}
NAMES = ("one", "two", "three", "four")


class Stopped(BaseException):
    """As when the process is ended."""


class Parts:
    """Parts that count how often they are measured; one of them may end the process."""

    def __init__(self, stop_in=None):
        self.calls, self.stop_in = dict.fromkeys(NAMES, 0), stop_in

    def measure(self, name):
        if name == self.stop_in:
            raise Stopped
        self.calls[name] += 1
        return {f"{name}/{k}": {"value": 0.1 + k} for k in range(NAMES.index(name))}


def without_seconds(content):
    return {**content, "parts": {name: part["entries"] for name, part in content["parts"].items()}}


def measure(run, parts, names=NAMES, of="f", again=()):
    found = Measured(run, ABOUT, of, again=again)
    for name in names:
        found.part(name, lambda name=name: parts.measure(name))
        assert run.read_json("metrics.json") == found.content()
    return found.content()


def test_a_part_is_its_entries_its_seconds_and_its_name(tmp_path):
    content = measure(RunDirectory(tmp_path), Parts())
    assert {k: content[k] for k in ABOUT} == ABOUT
    assert (content["version"], content["measured_of"]) == (measured.VERSION, "f")
    assert list(content["parts"]) == list(NAMES)
    assert content["parts"]["three"]["entries"] == ["three/0", "three/1"]
    # A part that finds nothing has been measured all the same.
    assert content["parts"]["one"]["entries"] == []
    assert content["four/2"] == {"value": 2.1}
    assert all(part["seconds"] >= 0 for part in content["parts"].values())


@pytest.mark.parametrize("stopped", NAMES)
def test_what_was_measured_before_the_stop_is_not_measured_again(tmp_path, stopped):
    whole, run = measure(RunDirectory(tmp_path / "whole"), Parts()), RunDirectory(tmp_path / "run")
    with pytest.raises(Stopped):
        measure(run, Parts(stop_in=stopped))
    before = NAMES[: NAMES.index(stopped)]
    if before:
        assert list(run.read_json("metrics.json")["parts"]) == list(before)
    parts = Parts()
    found = measure(run, parts)
    assert parts.calls == {name: int(name not in before) for name in NAMES}
    assert list(without_seconds(found).items()) == list(without_seconds(whole).items())
    assert [path.name for path in run.path.iterdir()] == ["metrics.json"]


def test_parts_asked_for_one_after_the_other_add_up(tmp_path):
    run, parts = RunDirectory(tmp_path / "run"), Parts()
    measure(run, parts, ["three"])
    measure(run, parts, ["two"])
    found = measure(run, parts, [])
    assert set(found["parts"]) == {"two", "three"}
    assert {"two/0", "three/0", "three/1"} <= set(found)
    assert parts.calls == {"one": 0, "two": 1, "three": 1, "four": 0}
    whole = measure(RunDirectory(tmp_path / "whole"), Parts())
    assert without_seconds(measure(run, parts)) == without_seconds(whole)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: json.dumps(content | {"measured_of": "g"}), "other settings, weights or samples"),
        (lambda content: json.dumps(content | {"version": measured.VERSION + 1}), "another version"),
        (lambda content: json.dumps({"model": "m", "probe": {"a": 1.0}}), "another version, or is damaged"),
        (lambda content: json.dumps(content)[:-9], "is damaged"),
        (lambda content: "[1, 2]", "is damaged"),
        (lambda content: "", "is damaged"),
        (lambda content: "\x00\x01", "is damaged"),
    ],
    ids=["settings", "version", "old", "cut", "list", "empty", "bytes"],
)
def test_numbers_of_another_making_are_kept_elsewhere(tmp_path, caplog, change, words):
    run = RunDirectory(tmp_path)
    (tmp_path / "metrics.1.json").write_text("of yesterday")
    old = change(measure(run, Parts()) | {"two/0": "not this"})
    (tmp_path / "metrics.json").write_text(old)
    parts = Parts()
    with caplog.at_level(logging.WARNING):
        found = measure(run, parts)
    assert set(parts.calls.values()) == {1}
    assert found["two/0"] == {"value": 0.1}
    assert (tmp_path / "metrics.1.json").read_text() == "of yesterday"
    assert (tmp_path / "metrics.2.json").read_text() == old
    assert words in caplog.text
    assert "kept as metrics.2.json, and everything is measured anew" in caplog.text


def test_what_is_measured_once_more_is_what_was_asked_for(tmp_path, caplog):
    run, parts = RunDirectory(tmp_path), Parts()
    first = measure(run, parts)
    with caplog.at_level(logging.WARNING):
        assert without_seconds(measure(run, parts, ["two", "four"], again=["two", "four"])) == without_seconds(first)
    assert parts.calls == {"one": 1, "two": 2, "three": 1, "four": 2}
    assert json.loads((tmp_path / "metrics.1.json").read_text()) == first
    assert "with the same settings" in caplog.text
    assert "two, four is measured anew" in caplog.text
    # With nothing there to measure once more, nothing is kept.
    other = RunDirectory(tmp_path / "other")
    measure(other, parts, ["one"])
    measure(other, parts, ["two"], again=["two"])
    assert [path.name for path in other.path.iterdir()] == ["metrics.json"]
    assert parts.calls["one"] == 2


def test_a_fingerprint_is_of_values_types_shapes_and_order():
    x = np.arange(6, dtype=np.float32)
    inputs = [
        *([x], [x.astype(np.float64)], [x.reshape(2, 3)], [x.reshape(3, 2)], [x[::-1]], [x[:3], x[3:]], [x[:0]], [x, x[:0]]),
        *([1, 23], [12, 3], [123], ["a", "b"], ["ab"], [{"a": 1, "b": 2}], [{"a": 2, "b": 1}], [None], [], [True], [1], [[1]]),
    ]
    assert len({fingerprint(*parts) for parts in inputs}) == len(inputs)
    assert fingerprint({"a": 1, "b": 2}, x) == fingerprint({"b": 2, "a": 1}, x.copy())
    # Not of how an array lies in memory.
    table = x.reshape(2, 3)
    assert fingerprint(table) == fingerprint(np.asfortranarray(table))


DATA = {"a": np.random.default_rng(0).normal(size=(90, 3)), "b": np.random.default_rng(1).normal(size=(90, 2))}
HOW = EvaluateConfig(test_examples=25)


@pytest.fixture(scope="module")
def data():
    return from_arrays(DATA, np.arange(90) % 3)


def saved(run, seed, step):
    """A checkpoint of a model of the run."""
    config = run.config()
    model = registry.build_model(config, run.modalities())
    for v in model.trainable_variables:
        v.assign(np.random.default_rng(seed).normal(size=v.shape))
    Checkpoints(run.checkpoints, model.named_weights()).save(step)


@pytest.fixture
def run(tmp_path, data, monkeypatch):
    """A run that was not trained; what draws is left out."""
    config = Config(DataConfig(dataset="arrays"), ModelConfig(shared_dim=2), TrainConfig(steps=1))
    run = RunDirectory.claim(tmp_path / "run", config)
    run.begin(config, data.modalities, record.files(data))
    run.write_json("training.json", {"steps": 1, "seconds": 1.0, "steps_per_second": 1.0, "platform": "x"})
    saved(run, 0, 1)
    for name in ("of_model", "of_codes"):
        monkeypatch.setattr(evaluate.model_figures, name, lambda *given: {})
    monkeypatch.setattr(evaluate, "_save", lambda run, drawn: [figure.clear() for figure in drawn.values()])
    monkeypatch.setattr(evaluate.page, "write", lambda run: None)
    monkeypatch.setattr(evaluate.projector, "write", lambda *given, **how: None)
    return run


@pytest.fixture
def parts(monkeypatch):
    parts = Parts()
    measures = {name: evaluation_parts.Part(lambda context, name=name: parts.measure(name)) for name in NAMES}
    monkeypatch.setattr(evaluation_parts, "PARTS", measures)
    return parts


def test_a_evaluation_that_was_stopped_goes_on(run, data, parts):
    parts.stop_in = "three"
    with pytest.raises(Stopped):
        evaluate.evaluate(run.path, HOW, data=data)
    assert list(run.read_json("metrics.json")["parts"]) == ["one", "two"]
    parts.stop_in = None
    found = evaluate.evaluate(run.path, HOW, data=data)
    assert parts.calls == dict.fromkeys(NAMES, 1)
    assert found == run.read_json("metrics.json")
    assert (found["step"], found["evaluation"]["test_examples"]) == (1, len(data.test.first(25)))
    assert found["training"] == {"steps": 1, "seconds": 1.0, "steps_per_second": 1.0}
    run.path.joinpath("metrics.json").unlink()
    whole = evaluate.evaluate(run.path, HOW, data=data)
    assert list(without_seconds(found).items()) == list(without_seconds(whole).items())


def test_only_what_the_numbers_depend_on_has_them_measured_anew(run, data, parts, tmp_path):
    def calls(again=False, **settings):
        before = parts.calls["two"]
        evaluate.evaluate(run.path, EvaluateConfig(**{"test_examples": 25} | settings), data=data, again=again)
        return parts.calls["two"] - before

    assert calls(parts="two") == 1
    assert calls() == calls(protocol="published") == calls(data_dir=str(tmp_path), cache_dir=str(tmp_path)) == 0
    assert run.read_json("metrics.json")["protocol"] == "corrected"
    assert not list(run.path.glob("metrics.*.json"))
    assert calls(evaluation_seed=1) == calls(test_examples=20) == calls(likelihood_samples=3) == 1
    assert len(list(run.path.glob("metrics.*.json"))) == 3
    assert calls(parts="one", likelihood_samples=3, again=True) == 0
    assert calls(parts="two", likelihood_samples=3, again=True) == 1
    assert set(run.read_json("metrics.json")["parts"]) == set(NAMES)
    # Other weights of the same step, and the same weights of another one.
    saved(run, 1, 1)
    assert calls(likelihood_samples=3) == 1
    saved(run, 1, 2)
    assert calls(likelihood_samples=3) == 1
    assert run.read_json("metrics.json")["step"] == 2


def test_an_unknown_part_is_refused_before_anything_is_measured(run):
    with pytest.raises(UserError, match="--parts names 'prope', but there are terms, probe, coherence, .*; or all"):
        evaluate.evaluate(run.path, EvaluateConfig(parts="probe, prope"))
    assert evaluation_parts.chosen(EvaluateConfig(parts="quality, terms,terms")) == ["terms", "quality"]
    assert evaluation_parts.chosen(EvaluateConfig()) == list(evaluation_parts.of_models())


def test_the_old_name_of_a_part_is_still_read(run, data, parts, caplog):
    """In a flag, with a note; and in a file, whose part is not measured again."""
    assert evaluation_parts.chosen(EvaluateConfig(parts="relatedness"), {"retrieval": None}) == ["retrieval"]
    assert "'relatedness' is called 'retrieval' now" in caplog.text
    evaluate.evaluate(run.path, HOW, data=data)
    old = run.read_json("metrics.json")
    old["parts"] = {"relatedness" if name == "one" else name: part for name, part in old["parts"].items()}
    run.write_json("metrics.json", old)
    again = Measured(run, {}, old["measured_of"], renamed={"relatedness": "one"})
    assert set(again.content()["parts"]) == set(NAMES)
    assert not list(run.path.glob("metrics.*.json"))


@pytest.mark.parametrize("name", ["codes", "relatedness"])
def test_a_metric_of_the_name_of_a_part_is_refused_as_it_is_added(name):
    """So that a plugin that has one ends training before it begins."""
    with pytest.raises(UserError, match=f"There is a part '{name}' of metrics.json already"):
        entries.METRICS.add(specs.MetricSpec(name, "Codes", "What codes are.", measure=len))
    assert name not in entries.METRICS


def test_the_parts_that_names_are_kept_for_are_those_that_are_measured():
    assert tuple(evaluation_parts.PARTS) == specs.PARTS


def test_the_curves_of_samples_are_drawn_with_their_part(run, data, monkeypatch):
    """An evaluation that goes on has no curves: what is drawn at the end is drawn from metrics.json."""
    drawn, draw = [], Figure()
    monkeypatch.setattr(evaluate, "_save", lambda run, figures: drawn.append(sorted(figures)))
    monkeypatch.setattr(evaluation_parts.curves, "prd_figure", lambda found: draw)
    monkeypatch.setattr(evaluation.context, "train_classifiers", lambda data, config: {})
    monkeypatch.setattr(evaluation_parts, "sample_quality", lambda *given: ({"prd": {}}, {"a real": None}))
    for expected in ([["prd"], []], [[]]):
        evaluate.evaluate(run.path, EvaluateConfig(test_examples=25, parts="quality"), data=data)
        assert drawn == expected
        drawn.clear()


@pytest.mark.parametrize("multi_label", [False, True])
def test_probes_alone_name_their_scale(tmp_path, run, data, monkeypatch, multi_label):
    """Without the part that measures coherence."""
    monkeypatch.setattr(evaluation.context, "train_classifiers", None)
    if multi_label:
        label = np.stack([np.arange(90) % 3 == 0, np.arange(90) % 2 == 0], axis=1).astype(np.int64)
        data = from_arrays(DATA, label, class_names=("third", "even"))
        (run.path / "config.json").unlink()
        run.begin(Config(DataConfig(dataset="arrays"), ModelConfig(shared_dim=2), TrainConfig(steps=1)), data.modalities,
                  record.files(data))  # fmt: skip
    found = evaluate.evaluate(run.path, EvaluateConfig(parts="probe,terms"), data=data)
    assert found["score"] == ("average_precision" if multi_label else "accuracy")
    assert set(found["probe"]) == {"a", "b", "a,b"}
    assert set(found["parts"]) == {"terms", "probe"}
    assert ("label_prevalence" in found) == multi_label
