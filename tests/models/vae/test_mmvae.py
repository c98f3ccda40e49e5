"""MMVAE without importance samples: the contract, its limit, and how the draw serves the experts."""

import numpy as np
import oracles
import tensorflow as tf
import toys
from contract import ModelContract
from references import log_likelihood
from toys import SHARED, FixedNoise

from mmtf.models.inputs import observe

N = 6


class TestMMVAE(ModelContract):
    kind = "mmvae"


def test_one_modality_mmvae_is_a_plain_vae():
    """E log p(x|c) - beta KL(q(c|x) || N(0, I)), nothing else."""
    model, values, noise = toys.model("mmvae", 0, 1), toys.values(N, count=1), FixedNoise(N)
    terms = model.terms(values, None, noise, 0)
    q = model.encode(values).shared["vector"]
    c = q.loc + q.stddev() * noise.normal("shared", SHARED)
    m = model.modalities["vector"]
    expected = m.likelihood_weight * log_likelihood(m, model.coders.decoders["vector"](c), values["vector"])
    expected -= 2.0 * 0.7 * oracles.kl(np.float64(q.loc), np.float64(q.stddev()), 0.0, 1.0)
    np.testing.assert_allclose(terms["loss"], -expected, rtol=1e-5)


def test_every_share_of_the_batch_is_served_among_what_is_there():
    """Examples with two of three modalities draw each of the two for half of the batch."""
    n = 100
    model, values = toys.model("mmvae", 0), toys.values(n)
    mask = {"vector": np.zeros(n, bool), "image": np.ones(n, bool), "text": np.ones(n, bool)}
    for name, place in {"vector": -50.0, "image": 0.0, "text": 50.0}.items():
        # Constant experts far apart: the sample tells which one was chosen.
        model.coders.heads[name].kernel.assign(tf.zeros_like(model.coders.heads[name].kernel))
        model.coders.heads[name].bias.assign([place] * 3 + [-20.0] * 3)
    seen = []
    model.log_likelihood = lambda observed, shared, private: seen.append(shared.numpy()) or {"text": shared[:, 0]}
    model.elbos(observe(values, mask, model.modalities), model.encode(values, mask), FixedNoise(n))
    np.testing.assert_array_equal(np.unique(np.round(seen[0][:, 0]), return_counts=True), [[0.0, 50.0], [50, 50]])
