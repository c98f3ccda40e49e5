"""MoPoE: the contract, its limits of sets, and how it mixes them."""

import keras
import numpy as np
import oracles
import pytest
import toys
from contract import ModelContract
from losses import products, stacked
from references import experts
from toys import SHARED, FixedNoise

from mmtf.modality import Modality, check_subset, subsets
from mmtf.models.vae.mopoe import MoPoE

N = 6


class TestMoPoE(ModelContract):
    kind = "mopoe"


def test_subsets_are_all_non_empty_ones_in_order():
    found = subsets(("a", "b", "c"))
    assert found == [("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"), ("a", "b", "c")]
    assert check_subset(["c", "a"], ("a", "b", "c")) == ("a", "c")


def test_mopoe_of_single_modalities_is_mmvae():
    values, noise = toys.values(N), FixedNoise(N)
    single, plain = toys.model("mopoe", members=[[n] for n in values]), toys.model("mmvae")
    found, wanted = (m.terms(values, None, noise, 0) for m in (single, plain))
    for name, term in wanted.items():
        np.testing.assert_allclose(found[name], term, rtol=1e-6, err_msg=name)


def test_mopoe_of_all_modalities_is_the_joint_bound_of_mvae():
    values, noise = toys.values(N), FixedNoise(N)
    noise.drawn["shared/joint"] = noise.normal("shared", SHARED)
    joint, plain = toys.model("mopoe", members=[list(values)]), toys.model("mvae")
    found, wanted = (m.terms(values, None, noise, 0) for m in (joint, plain))
    for name in found.keys() - {"loss"}:
        np.testing.assert_allclose(found[name], wanted[f"joint/{name}"], rtol=1e-5, atol=1e-6, err_msg=name)


def test_mopoe_mixes_the_sets_of_what_an_example_has():
    model, values = toys.model("mopoe"), toys.values(2)
    mask = {"image": np.array([True, False])}
    q = model.posterior(values, mask=mask)
    shares = q.mixture_distribution.probs_parameter()
    np.testing.assert_allclose(shares[0], np.full(7, 1 / 7), rtol=1e-6)
    # vector, image, text; vector and image, vector and text, image and text; all.
    np.testing.assert_allclose(shares[1], np.array([1, 0, 1, 0, 1, 0, 0]) / 3, rtol=1e-6)
    fewer = model.posterior({n: values[n] for n in ("vector", "text")})
    x = np.random.default_rng(0).normal(size=(2, SHARED)).astype(np.float32)
    np.testing.assert_allclose(q.log_prob(x)[1], fewer.log_prob(x)[1], rtol=1e-5)


def test_mopoe_decodes_each_modality_once_for_all_sets_of_eight():
    parts = [Modality(f"m{k}", (2,), "normal") for k in range(8)]
    keras.utils.set_random_seed(0)
    decoders = {m.name: toys.decoder(m, SHARED) for m in parts}
    model = MoPoE(parts, {m.name: toys.encoder(m) for m in parts}, decoders, shared_dim=SHARED)
    calls = []
    model.coders.decode = lambda name, *codes: calls.append(name) or decoders[name](codes[0])
    rng = np.random.default_rng(0)
    values = {m.name: rng.normal(size=(5, 2)).astype(np.float32) for m in parts}
    terms = model.terms(values, None, FixedNoise(5), 0)
    assert calls == list(values)
    assert model.posterior(values).mixture_distribution.probs_parameter().shape == (5, 255)
    sets = [[int(n[1:]) for n in s] for s in subsets(tuple(values))]
    each = products(*stacked(experts(model, values)[0]), sets)
    wanted = np.mean([oracles.kl(m, d, 0.0, 1.0) for m, d in zip(*each, strict=True)], axis=0)
    np.testing.assert_allclose(terms["divergence"], wanted, rtol=1e-5)


def test_mopoe_of_too_many_modalities_says_how_many_sets_that_were():
    parts = [Modality(f"m{k}", (1,), "normal") for k in range(13)]
    networks = toys.encoder(parts[0]), toys.decoder(parts[0], 2)
    with pytest.raises(ValueError, match="of 13 modalities there are 8191"):
        MoPoE(parts, *({m.name: network for m in parts} for network in networks), shared_dim=2)
