"""What all metrics have in common: arrays in, numbers out, whatever holds the arrays; and no number of what is none."""

import numpy as np
import pytest

from mmtf.metrics import (
    cca,
    coherence,
    frechet,
    intervals,
    latents,
    likelihood,
    prd,
    precision,
    probe,
    reconstruction,
    retrieval,
)

RNG = np.random.default_rng(0)
N = 60
CLASSES = np.arange(N) % 3
ATTRIBUTES = np.stack([CLASSES == 0, CLASSES != 1], axis=1).astype(int)
SHIFTED = np.roll(ATTRIBUTES, 1, axis=0)
CODES = 2.0 * np.eye(3)[CLASSES] + RNG.normal(size=(N, 3))
OTHERS = CODES + 0.5 * RNG.normal(size=(N, 3))
WIDTHS = RNG.uniform(0.5, 1.5, (N, 3))

# By name: a metric, and arrays whose rows are of the same examples; `[N]`, `[N, D]`.
METRICS = {
    "average precision": (precision.average_precisions, [CODES[:, :2], ATTRIBUTES]),
    "bootstrap error": (precision.bootstrap_error, [CODES[:, :2], ATTRIBUTES]),
    "agreement": (lambda a, b: precision.agreement({"a": a, "b": b}).mean(), [CODES, OTHERS]),
    "canonical correlation": (lambda x, y: cca.correlation(cca.fit(x, y, 2), x, y), [CODES, OTHERS]),
    "conditional coherence": (coherence.conditional_coherence, [np.roll(CLASSES, 7), CLASSES]),
    "joint coherence": (lambda a, b: coherence.joint_coherence({"a": a, "b": b}), [np.roll(CLASSES, 7), CLASSES]),
    "Fréchet distance": (frechet.frechet_distance, [CODES, OTHERS]),
    "mean": (lambda x: intervals.mean(x, resamples=50).value, [CODES[:, 0]]),
    "share": (lambda x: intervals.share(x).value, [ATTRIBUTES[:, 0]]),
    "variances": (latents.variances, [CODES]),
    "divergence to the prior": (lambda m, s: latents.kl_to_prior(m, s).sum(axis=0), [CODES, WIDTHS]),
    "Jeffreys divergence": (lambda *codes: latents.jeffreys(*codes).mean(), [CODES, WIDTHS, OTHERS, WIDTHS]),
    "log-likelihood": (lambda w: likelihood.log_mean_exp(w), [CODES]),
    "precision and recall": (lambda x, y: prd.area(prd.prd_curve(x, y, clusters=3, runs=1)), [CODES, OTHERS]),
    "probe": (lambda x, y: probe.linear_probe(x, y, x, y), [CODES, CLASSES]),
    "probe of attributes": (lambda x, y: probe.attribute_probes(x, y, x, y), [CODES, ATTRIBUTES]),
    "squared error": (lambda x, y: reconstruction.squared_errors(x, y).mean(), [CODES, OTHERS]),
    "character error": (lambda x, y: reconstruction.character_errors(x, y).mean(), [ATTRIBUTES, SHIFTED]),
    "rank": (lambda scores, truth: retrieval.ranks(scores, truth).mean(), [CODES, CLASSES]),
    "mismatches": (retrieval.mismatch_auc, [CODES[:, 0], OTHERS[:, 1]]),
}
# Their generators draw by place; neither do clusters keep their numbers.
BY_PLACE = ("bootstrap error", "precision and recall")


@pytest.mark.parametrize("name", METRICS)
def test_whatever_holds_the_arrays_the_answer_is_the_same_and_they_stay_as_they_are(name):
    metric, arrays = METRICS[name]
    before, wanted = [a.copy() for a in arrays], metric(*arrays)
    assert np.all(np.isfinite(wanted))
    np.testing.assert_array_equal(metric(*(a.tolist() for a in arrays)), wanted)
    np.testing.assert_allclose(metric(*(np.asfortranarray(a) for a in arrays)), wanted, rtol=1e-9)
    single = [a.astype(np.float32) if a.dtype.kind == "f" else a.astype(np.int32) for a in arrays]
    np.testing.assert_allclose(metric(*single), wanted, rtol=1e-4, atol=1e-5)
    for array, old in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, old)


@pytest.mark.parametrize("name", [name for name in METRICS if name not in BY_PLACE])
def test_the_order_of_the_examples_does_not_count(name):
    metric, arrays = METRICS[name]
    order = np.random.default_rng(1).permutation(N)
    np.testing.assert_allclose(metric(*(a[order] for a in arrays)), metric(*arrays), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", METRICS)
def test_what_is_no_such_array_has_no_number(name):
    metric, arrays = METRICS[name]
    for position, array in enumerate(arrays):
        broken = array.astype(float)
        broken[3] = np.nan
        # Scores of mismatches may have any shape.
        shapes = [] if name == "mismatches" else [array[:, None] if array.ndim == 2 else np.stack([array] * 2)[None]]
        for wrong in (array[:0], broken, *shapes):
            with pytest.raises(ValueError, match=r"\w+ \w+"):
                metric(*arrays[:position], wrong, *arrays[position + 1 :])
