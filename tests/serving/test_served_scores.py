"""Served log-likelihoods against those of a linear-Gaussian model, which are known; served embeddings against retrieval's."""

import adversarial_toys
import linear_gaussian as linear
import numpy as np
import pytest
import tensorflow as tf
import toys

from mmtf.config import EvaluateConfig
from mmtf.evaluation.retrieval import latent_scores
from mmtf.modality import subsets
from mmtf.models.vae.jmvae import JMVAE
from mmtf.models.vae.mmjsd import MMJSD
from mmtf.models.vae.mopoe import MoPoE
from mmtf.models.vae.mvae import MVAE
from mmtf.serving import scores, signatures
from mmtf.serving.requests import PRESENT

NAMES = linear.NAMES
SETS = subsets(NAMES)
COUNT, SAMPLES = 70, 402
MASK = {n: np.array([n in SETS[i % len(SETS)] for i in range(COUNT)]) for n in NAMES}


def exact(x, private):
    """log p(x_K) of each example's own set K, and of K without each modality; of no modality it is 0."""
    truth = {s: linear.exact(x, private, s) for s in SETS} | {(): np.zeros(COUNT)}
    own = [SETS[i % len(SETS)] for i in range(COUNT)]
    whole = np.array([truth[s][i] for i, s in enumerate(own)])
    rest = {n: np.array([truth[tuple(m for m in s if m != n)][i] for i, s in enumerate(own)]) for n in NAMES}
    return whole, {n: np.where(MASK[n], whole - rest[n], 0.0) for n in NAMES}


@pytest.mark.parametrize(("kind", "private"), [(MVAE, 1), (MMJSD, 0), (MoPoE, 0), (JMVAE, 0)])
def test_scores_of_any_set_are_those_of_the_linear_gaussian_model(kind, private):
    x = linear.drawn(private, COUNT)
    model = linear.model_of(kind, private)
    served = signatures.verbs_of(model)["score_any"].traced()
    filled = {n: np.where(MASK[n][:, None], v, np.float32(np.nan)) for n, v in x.items()}
    masks = {PRESENT.format(n): tf.constant(m) for n, m in MASK.items()}
    found = served(**{n: tf.constant(v) for n, v in filled.items()}, **masks, n=tf.constant(SAMPLES), seed=tf.constant([5, 6]))
    found = {name: v.numpy() for name, v in found.items()}
    whole, conditional = exact(x, private)
    # By the delta method the variance of an estimate is 1/ESS - 1/K, and its bias minus half of that.
    variance = 1.0 / found[scores.SAMPLE_SIZE] - 1.0 / SAMPLES
    assert np.all(variance > -1e-6)
    assert abs((found[scores.LIKELIHOOD] - whole).mean()) < 3 * np.sqrt(variance.sum()) / COUNT + variance.mean()
    for name, wanted in conditional.items():
        error = found[scores.CONDITIONAL.format(name)] - wanted
        assert np.all(error[~MASK[name]] == 0.0)
        assert abs(error.mean()) < 6 * np.sqrt(variance.sum()) / COUNT + 2 * variance.mean(), name


def test_one_sample_of_a_mixture_is_of_each_component_equally_often():
    """Of a mixture of a true and of a far-off expert, half of single samples have hardly any weight."""
    model = linear.model_of(MMJSD, 0)
    head = model.coders.heads["two"]
    kernel, bias = head.get_weights()
    head.set_weights([0 * kernel, bias + np.array([50, 50, 0, 0])])
    count = 2000
    x = {n: np.tile(v[:1], (count, 1)) for n, v in linear.drawn(0).items() if n != "three"}
    found = scores.log_likelihoods(model, x, None, 1, tf.constant([0, 1]))[scores.LIKELIHOOD].numpy()
    assert abs(np.mean(found < -500) - 0.5) < 4 * np.sqrt(0.25 / count)


def test_scores_follow_their_seed_and_number_of_samples():
    model, x = toys.model("mmvae"), toys.values(3)
    served = signatures.verbs_of(model)["score_image"].traced()

    def found(n, seed):
        return served(image=tf.constant(x["image"]), n=tf.constant(n), seed=tf.constant([seed, 0]))[scores.LIKELIHOOD].numpy()

    np.testing.assert_allclose(found(7, 1), found(7, 1), rtol=1e-5)
    assert not np.allclose(found(7, 1), found(7, 2))
    # More than are decoded at once: 3 examples, 500 samples a turn.
    np.testing.assert_allclose(found(4001, 1), found(4001, 2), atol=0.5)


@pytest.mark.parametrize("make", [lambda: toys.model("mmvae"), lambda: adversarial_toys.model("joint")], ids=["mmvae", "game"])
def test_compared_embeddings_are_the_scores_of_retrieval(make):
    model, x = make(), toys.values(6)
    verbs = signatures.verbs_of(model)
    queries, candidates = (verbs[f"embed_{n}"].traced()(**{n: tf.constant(x[n])})["embedding"] for n in ("vector", "text"))
    found = verbs["compare"].traced()(queries=queries, candidates=candidates[:4])["score"]
    pair = {n: x[n] for n in ("vector", "text")}
    wanted = latent_scores(model, linear.split_of(pair), EvaluateConfig(), tuple(pair))
    np.testing.assert_allclose(found, wanted[:, :4], rtol=1e-4, atol=1e-4)
