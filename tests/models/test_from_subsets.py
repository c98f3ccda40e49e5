"""Everything from every set of modalities at once: what the verbs make of each set alone."""

import adversarial_toys
import numpy as np
import pytest
import tensorflow as tf
import toys
from small_evaluations import with_holes

from mmtf.modality import subsets

SEED = (3, 4)
MODELS = {
    "mmjsd": lambda: toys.model("mmjsd", 2, 3),
    "mmvae_laplace": lambda: toys.model("mmvae_iw", 2, 3, posterior_family="laplace"),
    "mmvae_plus": lambda: toys.model("mmvae_plus", 2, 3),
    "mopoe": lambda: toys.model("mopoe", 0, 3),
    "mvae": lambda: toys.model("mvae", 2, 3),
    "mvtcae": lambda: toys.model("mvtcae", 0, 3),
    "jmvae": lambda: toys.model("jmvae", 2, 3),
    "geometric": lambda: adversarial_toys.model(count=3),
    "arithmetic": lambda: adversarial_toys.model(count=3, subset_posterior="arithmetic"),
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("gaps", [False, True])
def test_it_is_what_translations_and_reconstructions_are(kind, gaps):
    model = MODELS[kind]()
    values, mask = toys.values(12, count=len(model.names)), None
    if gaps:
        mask = {n: np.arange(12) % (3 + k) > 0 for k, n in enumerate(model.names)}
        values = with_holes(values, mask)
    found = tf.nest.map_structure(lambda x: x.numpy(), tf.function(model.from_subsets)(values, mask, tf.constant(SEED)))
    sets = subsets(model.names)
    assert set(found.code) == set(sets)
    assert {len(x) for x in found.values.values()} == {len(model.names) if model.has_mixture_posterior else len(sets)}
    for subset in sets:
        whole = np.all([np.ones(12, bool) if mask is None else mask[n] for n in subset], axis=0)
        given = {n: values[n][whole] for n in subset}
        # Noise goes by the place in the batch: all of it is asked for.
        given = {n: np.where(whole.reshape(-1, *[1] * (values[n].ndim - 1)), values[n], values[n][whole][:1]) for n in subset}
        translated = model.translate(given, to=model.names, seed=SEED, mean=True)
        for name, wanted in translated.items():
            chosen = found.values[name][found.code[subset], np.arange(12)]
            np.testing.assert_allclose(chosen[whole], np.asarray(wanted)[whole], rtol=1e-4, atol=1e-5)
        rebuilt = model.reconstruct(given, seed=SEED, mean=True)
        for name in (n for n in subset if n in found.own):
            chosen = found.own[name][found.own_code[name, subset], np.arange(12)]
            np.testing.assert_allclose(chosen[whole], np.asarray(rebuilt[name])[whole], rtol=1e-4, atol=1e-5)
    assert set(found.own) == {n for n, m in model.modalities.items() if m.private_dim}
    assert set(found.own_code) == {(n, subset) for n in found.own for subset in sets if n in subset}


def test_experts_of_a_mixture_are_decoded_once(monkeypatch):
    model, decoded = toys.model("mmjsd", 2, 3), []
    honest = model.coders.decode

    def decode(name, *codes):
        decoded.append((name, len(codes[0])))
        return honest(name, *codes)

    monkeypatch.setattr(model.coders, "decode", decode)
    model.from_subsets(toys.values(5), seed=SEED)
    # Each expert's code by each decoder; and once more beside their own private codes.
    private = [n for n in model.names if model.modalities[n].private_dim]
    assert sorted(decoded) == sorted((n, 5) for n in [*model.names, *private] for _ in model.names)


def test_a_seed_is_two_integers():
    with pytest.raises(ValueError, match="two integers"):
        toys.model("mmjsd", 2, 3).from_subsets(toys.values(5), seed=3)
