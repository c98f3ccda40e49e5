"""Histograms of weights, gradients and codes, read by TensorBoard's own reader, and held against the model."""

import numpy as np
import pytest
import tensorflow as tf
from dashboards import summaries
from small_runs import arrays, config

from mmtf import registry
from mmtf.distributed import random
from mmtf.metrics import latents
from mmtf.runs import events
from mmtf.tensorboard import histograms
from mmtf.verbs import train


def test_histograms_are_of_the_weights_and_posteriors_that_the_run_has(watched, model, data):
    drawn = summaries(watched.logs / histograms.FOLDER, "histograms")
    assert all(steps == [4] for _, steps in drawn.values())
    for part, variables in histograms.parts(model).items():
        weights, (bins, _) = np.concatenate([np.ravel(v) for v in variables]), drawn[f"weights/{part}"]
        assert bins[:, 2].sum() == len(weights)
        np.testing.assert_allclose([bins[0, 0], bins[-1, 1]], [weights.min(), weights.max()], rtol=1e-5)
    q = model.encode(data.test.first(histograms.EXAMPLES).take(slice(None))).private["picture"]
    kl = latents.kl_to_prior(q.mean().numpy(), q.stddev().numpy()).mean(axis=0)
    bins, _ = drawn["kl/private<-picture"]
    assert bins[:, 2].sum() == len(kl) == 2
    np.testing.assert_allclose([bins[0, 0], bins[-1, 1]], [kl.min(), kl.max()], rtol=1e-3)
    codes = ["shared<-picture", "shared<-word", "shared<-picture,word", "private<-picture", "private<-word"]
    assert {name.split("/", 1)[1] for name in drawn if not name.startswith("weights")} == set(codes)
    used = summaries(watched.logs / histograms.FOLDER, "scalars")["used_dimensions/private<-picture"][0]
    assert int(used) == int((kl >= latents.COLLAPSED_BELOW).sum())
    assert summaries(watched.logs / histograms.FOLDER, "images")["kl_by_dimension"][0][2].startswith(b"\x89PNG")


def test_scalars_of_the_objective_stay_what_they_were(watched, model):
    """Histograms and hyper-parameters are not among what the report draws."""
    scalars = events.read_scalars(watched.logs)
    assert set(model.term_modalities()) <= set(scalars)
    assert not [name for name in scalars if "/" in name and name.split("/")[0] in ("weights", "kl", "training")]
    assert "weights/encoder.picture" not in events.read_scalars(watched.logs / histograms.FOLDER)


def test_parts_are_networks_and_have_all_weights(model):
    found = histograms.parts(model)
    assert list(found) == [f"{role}.{name}" for role in ("encoder", "head", "decoder") for name in ("picture", "word")]
    assert sum(len(v) for v in found.values()) == len(model.named_weights())


def ready(kind):
    """A model of two vectors, ready to train, and its data."""
    data, settings = arrays(), config(2, {"model": kind})
    found = registry.build_model(settings, registry.configure(data.modalities, settings.model))
    train.compile_model(found, settings.train, 2, 2, tf.distribute.get_strategy())
    return found, data


def test_gradient_norms_are_those_of_the_loss():
    """Against a difference quotient: along its gradient the loss grows by the gradient's norm."""
    found, data = ready("mmjsd")
    norms = histograms.GradientNorms(found, data, 16)
    all_of_them = norms()
    # Of all networks that learn.
    assert list(all_of_them) == [f"{role}.{name}" for role in ("encoder", "head", "decoder") for name in "ab"]
    assert all(np.isfinite(norm) and norm > 0 for norm in all_of_them.values())
    norm, variables = all_of_them["decoder.a"], histograms.parts(found)["decoder.a"]

    def loss():
        noise = random.Noise(tf.constant([found.seed, 0]), 16)
        return tf.reduce_mean(found.terms(norms._batch["values"], None, noise, 0)["loss"])

    with tf.GradientTape() as tape:
        value = loss()
    gradients = tape.gradient(value, [v.value for v in variables])
    size, before, ends = 1e-3, [v.numpy() for v in variables], []
    for sign in (1, -1):
        for v, start, gradient in zip(variables, before, gradients, strict=True):
            v.assign(start + sign * size * gradient / norm)
        ends.append(float(loss()))
    assert (ends[0] - ends[1]) / (2 * size) == pytest.approx(norm, rel=0.03)


@pytest.mark.slow
def test_an_adversarial_model_is_watched_by_the_networks_that_learn(tmp_path):
    """Every so many epochs; its moving average has no gradient, and the discriminators have another loss."""
    found, data = ready("mmali_joint")
    watch = histograms.Histograms(tmp_path, data, 2, 16)
    watch.set_model(found)
    for epoch in range(3):
        watch.on_epoch_end(epoch)
        assert bool(events.read_scalars(tmp_path / histograms.FOLDER)) == (epoch > 0)
    norms = summaries(tmp_path / histograms.FOLDER, "scalars")
    names = [f"gradient_norm/player.{role}.{name}" for role in ("encoder", "head", "decoder") for name in "ab"]
    assert [name for name in norms if name.startswith("gradient_norm")] == names
    assert all(np.isfinite(norms[name][0]) and norms[name][0] > 0 and norms[name][1] == [0] for name in names)
