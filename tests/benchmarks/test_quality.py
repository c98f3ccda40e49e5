"""Check the time to quality: from curves to seconds, and a table that says where a level was not reached."""

import dataclasses
import json
import math
import subprocess
import sys

import numpy as np
import pytest
import quality


def curve(*points):
    return [
        {"steps": 50 * k, "seconds": float(k), "coherence": dict(zip(quality.TARGETS, shares, strict=True))}
        for k, shares in enumerate(points, 1)
    ]


RISING = curve((0.5, 0.2), (0.85, 0.7), (0.95, 0.82), (0.88, 0.91), (0.93, 0.92))
FLAT = curve((0.5, 0.2), (0.85, 0.3))


def test_a_level_is_reached_where_all_targets_are_there_together():
    assert quality.reached(RISING, 0.8) == 3.0
    assert quality.reached(RISING, 0.9) == 5.0
    assert quality.reached(RISING, 0.9, ("word<-digit",)) == 3.0
    assert quality.reached(RISING, 0.9, ("scene<-digit",)) == 4.0
    assert math.isinf(quality.reached(FLAT, 0.8))


@pytest.fixture
def found():
    rates = quality.RATES
    ours = {(rate, 0): FLAT for rate in rates} | {(rates[1], 0): RISING, (rates[1], 1): RISING}
    slower = [point | {"seconds": 3 * point["seconds"]} for point in RISING]
    theirs = {(rate, 0): FLAT for rate in rates} | {(rates[2], 0): slower, (rates[2], 1): FLAT}
    return {
        "mmtf": quality.summary(ours, rates[1], [0, 1]),
        "multivae": quality.summary(theirs, rates[2], [0, 1]),
    }


def test_seconds_are_told_by_level_and_seed(found):
    assert found["mmtf"]["seconds"]["0.8"] == {"both": [3.0, 3.0], "word<-digit": [2.0, 2.0], "scene<-digit": [3.0, 3.0]}
    assert found["multivae"]["seconds"]["0.9"]["both"] == [15.0, None]
    assert list(found["mmtf"]["seconds_by_rate"].values()) == [None, 5.0, None, None, None]
    assert quality.ratios(found, 0.9) == [3.0, math.inf]
    json.dumps(found, allow_nan=False)


def test_the_table_says_what_was_not_reached(found):
    rows = quality.table(found).splitlines()
    assert "| both | 0.8 | 3 [3, 3] | not reached [9, not reached] | not reached [3.00, not reached] |" in rows


def test_curves_are_drawn(found, tmp_path):
    quality.draw(found, tmp_path / "quality.png")
    assert (tmp_path / "quality.png").stat().st_size > 5000


def test_neither_at_a_level_is_no_ratio(found):
    found["mmtf"]["seconds"]["0.9"]["both"] = [5.0, None]
    first, second = quality.ratios(found, 0.9)
    assert first == 3.0
    assert np.isnan(second)


def test_networks_answer_alike_with_the_weights_of_the_other():
    """Decoders, whose codes the other library has in another order, answer alike with the weights copied over."""
    peer = pytest.importorskip("multivae_peer")
    from mmtf import registry
    from mmtf.config import ModelConfig
    from mmtf.data import digits

    private = ModelConfig("mmjsd", shared_dim=16, private_dim=4, private_beta=3.0)
    config = dataclasses.replace(quality.experiment(0.001, 0), model=private)
    modalities = registry.configure(digits.MODALITIES, config.model)
    ours, theirs = registry.build_model(config, modalities), peer.build(config, modalities)
    peer.copy_from(theirs, ours)
    rng = np.random.default_rng(0)
    codes = {k: rng.normal(size=(3, n)).astype(np.float32) for k, n in (("shared", 16), ("private", 4))}
    for name in ours.names:
        answer = ours.coders.decode(name, codes["shared"], codes["private"]).numpy()
        z = peer.torch.from_numpy(np.concatenate([codes["shared"], codes["private"]], axis=1))
        wanted = theirs.decoders[name](z).reconstruction.detach().numpy()
        np.testing.assert_allclose(answer, wanted.transpose(0, 2, 3, 1) if wanted.ndim == 4 else wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("contender", quality.CONTENDERS)
def test_a_contender_tells_how_good_it_is(contender):
    if contender == "multivae":
        pytest.importorskip("multivae_peer")
    code = f"""
import sys
sys.path.insert(0, {str(quality.interleaved.HERE)!r})
import quality
quality.MOST, quality.EVERY, quality.HELD_OUT = 20, 10, 60
quality.train({contender!r}, quality.experiment(0.001, 0))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    points = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"steps"')]
    assert [p["steps"] for p in points] == [10, 20]
    assert 0.0 < points[0]["seconds"] < points[1]["seconds"]
    assert all(0.0 <= share <= 1.0 for p in points for share in p["coherence"].values())
