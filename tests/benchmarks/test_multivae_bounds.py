"""The comparison of bounds with `multivae`: distances between means, and the evaluator of both."""

import multivae_experiments
import numpy as np
import pytest

from mmtf import registry
from mmtf.data import digits

BENCH = "is not installed: pip install -e '.[bench]'"
pytest.importorskip("torch", reason=f"PyTorch {BENCH}")
pytest.importorskip("multivae", reason=f"multivae, which our models are compared with, {BENCH}")
multivae_peer = pytest.importorskip("multivae_peer")
multivae_bounds = pytest.importorskip("multivae_bounds")
pytestmark = pytest.mark.slow


def test_distances_come_with_their_probability():
    # 4 degrees of freedom: |t| is 2.776 in 5 of 100.
    difference, p = multivae_bounds.distance([-1.0, 0.0, 1.0], [2.776 * np.sqrt(2 / 3) + x for x in (-1.0, 0.0, 1.0)])
    assert difference == pytest.approx(2.2666, abs=1e-3)
    assert p == pytest.approx(0.05, abs=1e-4)


def test_the_table_counts_what_is_rare():
    found = {
        "mvae": {
            "mmtf": {"loss": [1.0, 2.0, 3.0], "only_digit/divergence": [1.0, 2.0, 3.0]},
            "multivae": {"loss": [11.0, 12.0, 13.0], "only_digit/divergence": [1.0, 2.0, 3.0]},
            "multivae_itself": [1.0],
        }
    }
    assert multivae_bounds.rare(found) == (1, 2)
    lines = multivae_bounds.table(found).splitlines()
    assert lines[2:] == ["| mvae | loss | 2.00 ± 1.00 | 12.00 ± 1.00 | +10.00 | 0.00 |"]


def test_at_the_same_weights_the_library_agrees_with_our_evaluator():
    data = digits.load(pairings=1, scenes_per_digit=1, test_pairings=1)
    for model in ("mvae", "mmvae_iw"):
        config = multivae_experiments.experiment(model, 8)
        ours, peer = registry.build_model(config, data.modalities), multivae_peer.build(config, data.modalities)
        multivae_peer.copy_to(peer, ours)
        ours_says = multivae_bounds.evaluate(ours, data.test)["loss"]
        # Under different noise, over 397 examples.
        assert multivae_bounds.evaluate_itself(peer, data.test) == pytest.approx(ours_says, rel=2e-3)
