"""What the verbs mean, on models whose networks are made to show where each part of a code comes from."""

import numpy as np
import pytest
import tensorflow as tf
import toys
from toys import SHARED

N = 5
PRIVATE = 2


@pytest.fixture(scope="module", params=["mmjsd", "mvae"])
def model(request):
    """Of a mixture and of a product; only read. Without biases an encoder says of zeros what the prior is."""
    found, rng = toys.model(request.param, PRIVATE), np.random.default_rng(1)
    for weight in found.named_weights().values():
        weight.assign_add(rng.normal(scale=0.3, size=weight.shape).astype(np.float32))
    return found


def record_codes(model, monkeypatch):
    """Codes that reach each decoder, by modality."""
    seen = {}
    honest = model._decode

    def spy(name, shared, private):
        seen[name] = np.asarray(shared), None if private is None else np.asarray(private)
        return honest(name, shared, private)

    monkeypatch.setattr(model, "_decode", spy)
    return seen


def test_reconstruct_takes_the_joint_posterior_and_each_one_s_own_private_code(model, monkeypatch):
    values, seen = toys.values(N), record_codes(model, monkeypatch)
    model.reconstruct(values)
    codes = model.encode(values)
    for name in model.names:
        shared, private = seen[name]
        np.testing.assert_allclose(shared, model.posterior(values).mean(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(private, codes.private[name].loc, rtol=1e-5, atol=1e-6)


def test_reconstruct_fills_a_gap_as_translate_does(model, monkeypatch):
    """No encoder has seen the value: its private code is the prior's mean, or a draw from the prior."""
    values, mask = toys.values(2000), {"image": np.arange(2000) % 2 == 0}
    gaps = ~mask["image"]
    found = model.reconstruct(values, mask)["image"]
    others = {name: values[name][gaps] for name in ("vector", "text")}
    np.testing.assert_allclose(found[gaps], model.translate(others)["image"], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found[~gaps], model.reconstruct(values)["image"][~gaps])
    seen = record_codes(model, monkeypatch)
    model.reconstruct(values, mask, seed=(0, 1))
    drawn, q = seen["image"][1], model.encode(values).private["image"]
    np.testing.assert_allclose(drawn[gaps].mean(axis=0), 0.0, atol=4 / np.sqrt(1000))
    np.testing.assert_allclose(drawn[gaps].std(axis=0), 1.0, atol=0.1)
    np.testing.assert_allclose(np.std((drawn - q.loc)[~gaps] / q.stddev()[~gaps], axis=0), 1.0, atol=0.1)


def test_translate_takes_the_source_s_posterior_and_private_codes_from_the_prior(model, monkeypatch):
    values, seen = toys.values(2000), record_codes(model, monkeypatch)
    given = {"image": values["image"]}
    model.translate(given)
    assert set(seen) == {"vector", "text"}
    np.testing.assert_allclose(seen["text"][0], model.posterior(given).mean(), rtol=1e-5, atol=1e-6)
    assert seen["text"][1] is None
    model.translate(given, to=["image", "text"], seed=(0, 1))
    for name in ("image", "text"):
        private = seen[name][1]
        assert np.all(np.abs(private.mean(axis=0)) < 4 / np.sqrt(2000))
        np.testing.assert_allclose(private.std(axis=0), 1.0, atol=0.1)
    np.testing.assert_array_equal(seen["image"][0], seen["text"][0])
    q = model.posterior(given)
    standardised = (seen["text"][0] - q.mean()) / q.stddev()
    np.testing.assert_allclose(np.std(standardised, axis=0), 1.0, atol=0.1)


def test_a_private_code_left_out_is_the_prior_s_mean(model):
    shared = tf.random.stateless_normal([N, SHARED], [0, 1])
    zeros = {"vector": tf.zeros([N, PRIVATE])}
    left_out, given = (model.decode(shared, p, to=["vector"])["vector"].mean() for p in (None, zeros))
    np.testing.assert_array_equal(left_out, given)


def test_generate_shares_the_shared_code_and_follows_the_priors(model, monkeypatch):
    seen = record_codes(model, monkeypatch)
    model.generate(4000, (0, 1))
    np.testing.assert_array_equal(seen["vector"][0], seen["text"][0])
    parts = [seen["vector"][0], seen["vector"][1], seen["image"][1], seen["text"][1]]
    for part in parts:
        assert np.all(np.abs(part.mean(axis=0)) < 4 / np.sqrt(4000))
        np.testing.assert_allclose(part.std(axis=0), 1.0, atol=0.06)
    together = np.corrcoef(np.concatenate(parts, axis=1), rowvar=False)
    assert np.all(np.abs(together - np.eye(len(together))) < 5 / np.sqrt(4000))


def test_mean_gives_probabilities_of_text(model):
    soft, hard = (model.generate(7, (0, 1), mean=mean) for mean in (True, False))
    np.testing.assert_allclose(np.sum(soft["text"], axis=-1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(np.argmax(soft["text"], axis=-1), hard["text"])
    np.testing.assert_array_equal(soft["vector"], hard["vector"])


def test_posteriors_are_those_of_each_subset(model):
    values = toys.values(N)
    for subset, q in model.posteriors(values).items():
        np.testing.assert_allclose(q.mean(), model.posterior(values, subset).mean(), rtol=1e-5, atol=1e-6)


def test_evaluate_reports_the_terms_and_changes_nothing():
    model = toys.model("mvae", PRIVATE)
    model.compile(optimizer="adam", jit_compile=False)
    before = [v.numpy().copy() for v in model.named_weights().values()]
    values = tf.nest.map_structure(tf.convert_to_tensor, toys.values(8))
    found = model.evaluate(tf.data.Dataset.from_tensors({"values": values}), verbose=0, return_dict=True)
    assert set(found) == set(model.term_modalities())
    assert np.all(np.isfinite(list(found.values())))
    for old, new in zip(before, model.named_weights().values(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_mistakes_are_named(model):
    with pytest.raises(ValueError, match="1 or more"):
        model.generate(-1)
    with pytest.raises(ValueError, match="A seed is two integers"):
        model.generate(3, seed=None)
    with pytest.raises(ValueError, match="Unknown modality 'vektor'"):
        model.decode(tf.zeros([1, SHARED]), {"vektor": tf.zeros([1, PRIVATE])})
    with pytest.raises(ValueError, match="Unknown modality 'vektor'"):
        model.posterior(toys.values(2), mask={"vektor": np.ones(2, bool)})
    with pytest.raises(ValueError, match="text: wanted integer class indices, got float32"):
        model.encode({"text": tf.zeros([2, 3])})


def test_networks_that_do_not_fit_are_named():
    parts = toys.modalities(0)
    encoders, decoders = {m.name: toys.encoder(m) for m in parts}, {m.name: toys.decoder(m, SHARED) for m in parts}
    kind = toys.MODELS["mmvae"]
    with pytest.raises(ValueError, match=r"vector: the decoder's input must have the shape \(5,\) per example, not \(3,\)"):
        kind(parts, encoders, decoders, shared_dim=5)
    wrong = decoders | {"vector": toys.decoder(parts[1], SHARED)}
    with pytest.raises(ValueError, match="vector: the decoder's output must have the shape"):
        kind(parts, encoders, wrong, shared_dim=SHARED)
    with pytest.raises(ValueError, match="encoders has a network for 'sound', but the modalities are vector, image, text"):
        kind(parts, encoders | {"sound": encoders["vector"]}, decoders, shared_dim=SHARED)


def test_a_modality_without_networks_gets_those_of_its_kind():
    parts = toys.modalities(0)
    model = toys.MODELS["mmvae"](parts, {"vector": toys.encoder(parts[0])}, shared_dim=SHARED, seed=3)
    assert model.coders.encoders["vector"].layers[-1].units == 6
    whole = toys.MODELS["mmvae"](parts, shared_dim=SHARED, seed=3)
    for part in ("encoders", "decoders"):
        for name in ("image", "text"):
            found, wanted = (m.networks[part][name].get_weights() for m in (model, whole))
            assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))
