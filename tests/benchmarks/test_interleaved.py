"""The benchmark's driver: turns alternate, ratios are of neighbours, and a contender counts the steps it was asked for."""

import json
import subprocess
import sys

import conditions
import contenders
import interleaved
import pytest
from interleaved import Turn

from mmtf.data import digits


class Recorded:
    """A contender that takes given times, and notes in a shared log when it ran."""

    def __init__(self, name, cpu, log):
        self.name, self._cpu, self._log = name, iter(cpu), log

    def run(self, steps):
        self._log.append((self.name, steps))
        return Turn(next(self._cpu), 1.0)


def test_contenders_alternate_after_a_warm_up_that_does_not_count():
    log = []
    both = [Recorded("a", [99.0, 1.0, 2.0], log), Recorded("b", [99.0, 3.0, 4.0], log)]
    turns = interleaved.race(both, rounds=2, steps=5, warm_up=7).turns
    assert log == [("a", 7), ("b", 7), ("a", 5), ("b", 5), ("b", 5), ("a", 5)]
    assert [turn.cpu for turn in turns["b"]] == [3.0, 4.0]


def test_ratio_is_the_median_over_rounds_and_not_a_ratio_of_medians():
    ours = [Turn(cpu, 1.0) for cpu in (1.0, 8.0, 6.0)]
    peer = [Turn(cpu, 2.0) for cpu in (2.0, 10.0, 4.0)]
    rows = interleaved.summary({"ours": ours, "peer": peer}, base="peer")
    assert rows["ours"] == {"cpu_ms": 6.0, "wall_ms": 1.0, "cpu_ratio": 0.8, "cpu_ratio_range": [0.5, 1.5]}
    assert rows["peer"]["cpu_ratio"] == 1.0
    assert "| ours | 6.0 | 1.0 | 0.80 [0.50, 1.50] |" in interleaved.table(rows, "peer")


WORKER = f"""
import sys
sys.path.insert(0, {str(interleaved.HERE)!r})
import conditions
import contenders
turns = contenders.Turns()
print("a library's chatter")
turns.done()
while True:
    sum(range(2_000_000))
    turns.done(10)
"""


def test_a_contender_answers_each_request_once_with_the_steps_it_ran():
    done = subprocess.run([sys.executable, "-c", WORKER], input="20\n25\n", capture_output=True, text=True, check=True)
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first["steps"] == 20
    assert second["steps"] == 30  # whole executions only
    assert first["cpu"] > 0.0
    assert first["wall"] > 0.0
    assert 5 < first["peak_mb"] < 10_000
    assert "chatter" in done.stderr


@pytest.mark.slow
def test_ours_trains_when_asked_to():
    with interleaved.Contender("mmtf", 8) as contender:
        turn = contender.run(10)
    assert turn.cpu > 0.0


def test_the_peer_s_data_are_there():
    """No library of the peer is needed to see that its split can be made."""
    config = contenders.experiment(8)
    assert len(digits.load(pairings=config.data.pairings, seed=config.data.data_seed).train) == 20 * 1400


def test_a_contender_that_dies_is_named():
    with interleaved.Contender("unheard_of", 1) as contender, pytest.raises(RuntimeError, match="unheard_of"):
        contender.run(1)


def test_the_experiment_is_that_of_the_paper():
    model = contenders.experiment(256).model
    assert (model.model, model.shared_dim, model.private_dim) == ("mmjsd", 16, 4)
    assert (model.beta, model.shared_beta, model.private_beta, model.private_weights) == (5.0, 1.0, 3.0, "word=5")


def test_the_paper_s_data_have_their_size_and_every_image_is_used():
    split = contenders.paper_sized_split()
    assert len(split) == 1_200_000
    assert {n: (len(pool), len(set(split.rows[n].tolist()))) for n, pool in split.pools.items()} == {
        "mnist": (60_000, 60_000),
        "svhn": (73_257, 73_257),
        "text": (50, 50),
    }


def test_rounds_go_on_until_they_agree_and_the_last_ones_count():
    log = []
    pair = [Recorded("a", [9.0, 1.0, 2.0, 1.01, 1.0], log), Recorded("b", [9.0, 1.0, 1.0, 1.0, 1.0], log)]
    race = interleaved.race(pair, rounds=2, steps=1, warm_up=1, until_agreed=True)
    assert (race.run, race.agreed) == (4, True)
    assert [turn.cpu for turn in race.turns["a"]] == [1.01, 1.0]
    assert "4 rounds, in the last of which" in interleaved.circumstances(race.conditions())


def test_rounds_that_never_agree_end_and_say_so():
    pair = [Recorded("a", [1.0] + [1.0, 2.0] * 4, []), Recorded("b", [1.0] * 9, [])]
    race = interleaved.race(pair, rounds=2, steps=1, warm_up=1, until_agreed=True)
    assert (race.run, race.agreed) == (2 * interleaved.PATIENCE, False)
    assert "still varied by 10% or more" in interleaved.circumstances(race.conditions())


@pytest.mark.parametrize(("others", "busy"), [(0.02, False), (0.4, True)])
def test_a_busy_machine_is_named(others, busy):
    told = interleaved.circumstances({"rounds_run": 3, "rounds_agree": True, "others": others})
    assert f"Other work took {others:.0%}" in told
    assert ("The machine was busy" in told) is busy


def test_the_work_of_others_is_what_is_not_ones_own(monkeypatch, tmp_path):
    clock = iter([0.0, 10.0])
    monkeypatch.setattr(conditions.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(conditions.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(conditions, "STATISTICS", tmp_path / "stat")
    tick = conditions.os.sysconf("SC_CLK_TCK")
    (tmp_path / "stat").write_text(f"cpu  {3 * tick} 0 {tick} 500 7 0 0 0 0 0\ncpu0 1 2 3\n")
    meanwhile = conditions.Meanwhile()
    (tmp_path / "stat").write_text(f"cpu  {9 * tick} {2 * tick} {3 * tick} 900 8 0 {tick} 0 0 0\ncpu0 1 2 3\n")
    # 11 seconds busy, 6 of them its own, of 20.
    assert meanwhile.share(6.0) == pytest.approx(0.25)


def test_a_limited_processor_is_called_so(monkeypatch):
    monkeypatch.setattr(conditions.processor, "instructions", lambda: "AVX-512 with bfloat16")
    assert (conditions.instructions(), conditions.multiplies_bfloat16()) == ("AVX-512 with bfloat16", True)
    for key, value in conditions.WITHOUT_AVX512.items():
        monkeypatch.setenv(key, value)
    assert conditions.instructions() == "AVX2, to which AVX-512 with bfloat16 was limited"
    assert not conditions.multiplies_bfloat16()
