"""The library `multivae` and our models have the same losses and gradients at the same weights, batch and noise."""

import dataclasses

import multivae_experiments
import numpy as np
import pytest
import tensorflow as tf

from mmtf import registry
from mmtf.data import digits
from mmtf.modality import subsets
from mmtf.verbs import train

BENCH = "is not installed: pip install -e '.[bench]'"
torch = pytest.importorskip("torch", reason=f"PyTorch {BENCH}")
pytest.importorskip("multivae", reason=f"multivae, which our models are compared with, {BENCH}")
multivae_peer = pytest.importorskip("multivae_peer")
pytestmark = pytest.mark.slow

BATCH = 32
NAMES = tuple(m.name for m in digits.MODALITIES)
# Our streams of noise, in the order in which the library draws.
STREAMS = {
    "mvae": ["shared/joint", *(f"shared/only_{name}" for name in NAMES)],
    "mmvae_iw": [f"shared/{name}" for name in NAMES],
}
# So that the samples' shares of the bound are neither 0 nor 1.
EQUAL_WEIGHTS = {"likelihood_weights": "digit=1,scene=1,word=1"}


class Recorded:
    """Our noise, as the library drew it; its mixtures take their components in order, in parts of the batch."""

    def __init__(self, model, drawn):
        self._drawn = dict(zip(STREAMS.get(model, ["shared"]), drawn, strict=True))

    def normal(self, stream, dim):
        drawn = self._drawn[stream]
        # Several samples, `[K, B, D]`, are `[B, K D]` in ours.
        return drawn if drawn.ndim == 2 else drawn.transpose(1, 0, 2).reshape(-1, dim)

    def strata(self, stream):
        count = len(subsets(NAMES))
        component = np.minimum(np.arange(BATCH) // (BATCH // count), count - 1)
        return tf.constant((component + 0.5) / count, tf.float32)


def both_models(model, **own):
    """Ours and the library's model with the same weights, and a batch."""
    config = multivae_experiments.experiment(model, BATCH)
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, **own))
    data = digits.load(pairings=1, scenes_per_digit=1)
    modalities = registry.configure(data.modalities, config.model)
    ours, peer = registry.build_model(config, modalities), multivae_peer.build(config, modalities)
    for i, bias in enumerate(v for v in ours.trainable_variables if v.shape.rank == 1):  # zeros would hide a mistake
        bias.assign(tf.random.stateless_normal(bias.shape, [i, 0], stddev=0.1))
    multivae_peer.copy_to(peer, ours)
    return ours, peer, data.train.take(np.arange(BATCH) * 7)


@pytest.fixture
def drawn(monkeypatch):
    """What the library has drawn, in order."""
    found, rng = [], np.random.default_rng(0)

    def standard_normal(shape, dtype, device):
        found.append(rng.standard_normal(tuple(shape), np.float32))
        return torch.from_numpy(found[-1])

    monkeypatch.setattr(torch.distributions.normal, "_standard_normal", standard_normal)
    return found


def losses_and_gradients(model, drawn, **own):
    """Our mean loss and the library's, and for each weight both gradients in our layout."""
    ours, peer, values = both_models(model, **own)
    peer_loss = multivae_peer.mean_loss(peer, multivae_peer.batch(values))
    peer_loss.backward()
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(ours.terms(values, None, Recorded(model, drawn), 0)["loss"])
    pairs = list(multivae_peer.matched(ours, peer))
    assert len(pairs) == len(ours.trainable_variables)
    gradients = tape.gradient(loss, [weight.value for weight, _ in pairs])
    peer_gradients = [multivae_peer.as_ours(parameter.grad, weight) for weight, parameter in pairs]
    return float(loss), peer_loss.item(), list(zip(gradients, peer_gradients, strict=True))


def check_gradients(gradients):
    for ours, peers in gradients:
        # The gradient of |x - m| jumps at m = x, which rounding puts a few pixels on the other side of.
        assert np.linalg.norm(np.asarray(ours) - peers) < 2e-3 * np.linalg.norm(peers)


@pytest.mark.parametrize(
    ("model", "own"),
    [
        ("mvae", {}),
        ("mmvae_iw", {"gradient_estimator": "iwae"} | EQUAL_WEIGHTS),
        ("mopoe", {}),
        ("jmvae", {}),
        ("mvtcae", {}),
    ],
    ids=list(multivae_experiments.MODELS),
)
def test_same_loss_and_gradients(model, own, drawn):
    loss, peer_loss, gradients = losses_and_gradients(model, drawn, **own)
    assert peer_loss == pytest.approx(loss, rel=1e-6)
    check_gradients(gradients)


def test_same_gradients_of_the_dreg_estimator(drawn):
    """Its loss is another: sum_k w_k log w_k with constant shares w_k in front, which is no bound."""
    loss, peer_loss, gradients = losses_and_gradients("mmvae_iw", drawn, gradient_estimator="dreg", **EQUAL_WEIGHTS)
    assert peer_loss < loss
    check_gradients(gradients)


@pytest.mark.parametrize("model", ["mvae", "mopoe", "jmvae", "mvtcae"])
def test_the_same_steps_lead_to_the_same_losses(model, drawn):
    """Ten updates under the same batches and noise: the optimizers, too, do the same."""
    ours, peer, _ = both_models(model)
    config = multivae_experiments.experiment(model, BATCH)
    train.compile_model(ours, config.train, 10, 10, tf.distribute.get_strategy())
    adam, split, losses = multivae_peer.optimizer(peer, config), digits.load(1, scenes_per_digit=1).train, []
    for step in range(10):
        values = split.take(np.arange(step * BATCH, (step + 1) * BATCH))
        drawn.clear()
        peer_loss = multivae_peer.step(peer, adam, multivae_peer.batch(values))
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(ours.terms(values, None, Recorded(model, drawn), 0)["loss"])
        ours.optimizer.apply(tape.gradient(loss, ours.trainable_variables), ours.trainable_variables)
        losses.append((float(loss), peer_loss.item()))
    # Rounding grows from step to step.
    for loss, peer_loss in losses:
        assert peer_loss == pytest.approx(loss, rel=2e-3)
    assert losses[-1][0] < 0.9 * losses[0][0]


@pytest.mark.parametrize("model", multivae_experiments.MODELS)
def test_weights_survive_the_way_there_and_back(model):
    ours, peer, _ = both_models(model)
    before = [weight.numpy() for weight in ours.trainable_variables]
    for weight in ours.trainable_variables:
        weight.assign(tf.zeros_like(weight))
    multivae_peer.copy_from(peer, ours)
    for weight, kept in zip(ours.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), kept)


def test_the_library_s_trainer_reports_every_step_and_learns():
    config = multivae_experiments.experiment("mopoe", 200)
    data = digits.load(pairings=1, scenes_per_digit=1)
    peer = multivae_peer.build(config, data.modalities)
    test = multivae_peer.batch(data.test.take(np.arange(200)))
    before, steps = multivae_peer.mean_loss(peer, test).item(), []
    trained = multivae_peer.train(peer, multivae_peer.dataset(data.train), config, 1, lambda: steps.append(len(steps)))
    assert steps == list(range(1400 // 200))
    assert multivae_peer.mean_loss(trained, test).item() < 0.98 * before
