"""The comparison of speed with `multivae`: who is compared, and which way its ratios go."""

import json

import comparisons
import contenders
import interleaved
import multivae_experiments
import multivae_speed
import pytest
from interleaved import Turn

from mmtf import registry


def test_every_model_is_one_of_ours_and_has_its_contenders():
    for model in multivae_experiments.MODELS:
        assert multivae_experiments.experiment(model, 8).model.model in registry.MODELS
        assert {f"mmtf_{model}", f"multivae_{model}", f"multivae_{model}_gathered"} <= set(contenders.CONTENDERS)


def test_ratios_are_our_rate_over_theirs():
    turns = {"multivae_mvae": [Turn(200.0, 1.0)], "mmtf_mvae": [Turn(100.0, 1.0)], "multivae_mvae_gathered": [Turn(150.0, 1.0)]}
    rows = interleaved.summary(turns, "mmtf_mvae")
    named = {"mmtf": rows["mmtf_mvae"], "trainer": rows["multivae_mvae"], "loop": rows["multivae_mvae_gathered"]}
    assert "| mvae | 10.0 | 5.0 | 6.7 | 2.00 [2.00, 2.00] | 1.50 [1.50, 1.50] |" in multivae_speed.table({"mvae": named})


def test_kept_rows_leave_the_others(tmp_path):
    path = tmp_path / "results.json"
    for part, name, row in [
        ("speed", "a", {"x": 1}),
        ("bounds", "a", {"x": 2}),
        ("speed", "b", {"x": 3}),
        ("speed", "a", {"x": 4}),
    ]:
        comparisons.keep(path, part, name, row)
    assert json.loads(path.read_text()) == {"speed": {"a": {"x": 4}, "b": {"x": 3}}, "bounds": {"a": {"x": 2}}}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["multivae_mopoe", "multivae_mopoe_gathered"])
def test_the_library_is_timed_by_the_step(name):
    pytest.importorskip("multivae", reason="multivae is not installed: pip install -e '.[bench]'")
    with interleaved.Contender(name, 8) as contender:
        assert contender.run(3).cpu > 0.0
