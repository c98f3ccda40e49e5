"""What all games have in common: the average that the verbs use, the regularisers, the means of experts, what is refused."""

import adversarial_toys
import numpy as np
import pytest
import tensorflow as tf
import toys
from toys import ROUNDING, FixedNoise

from mmtf import registry
from mmtf.errors import UserError
from mmtf.models.gan import regularisers
from mmtf.models.gan.base import AdversarialModel

N = 8


def test_the_average_follows_at_first_and_then_lags():
    """Start 1, decay 0.75: up to the second step it is the player ([C]'s release), after the third a quarter of the way on."""
    model = adversarial_toys.compiled(adversarial_toys.model("joint"))
    key, average = "player.encoder.vector.0.kernel", "encoder.vector.0.kernel"
    for seed in range(2):
        model.train_step(adversarial_toys.data(model, seed=seed))
        second = adversarial_toys.state(model)
        np.testing.assert_array_equal(second[average], second[key])
    model.train_step(adversarial_toys.data(model, seed=2))
    third = adversarial_toys.state(model)
    np.testing.assert_allclose(third[average], 0.75 * second[key] + 0.25 * third[key], rtol=1e-5)
    assert not np.array_equal(third[average], third[key])
    assert [model.schedule(step)["average_decay"] for step in (1, 2, 3)] == [0.0, 0.0, 0.75]


def test_verbs_use_the_average():
    model, values = adversarial_toys.model("joint"), toys.values(5)
    before = model.encode(values).shared["vector"].loc.numpy(), model.generate(4)["image"]
    for variable in model.generators.trainable_variables:
        variable.assign_add(tf.ones_like(variable))
    np.testing.assert_allclose(model.encode(values).shared["vector"].loc, before[0], **ROUNDING)
    np.testing.assert_allclose(model.generate(4)["image"], before[1], **ROUNDING)
    model.coders.decoders["image"].layers[0].bias.assign_add(np.full(4, 0.5, np.float32))
    np.testing.assert_allclose(model.generate(4)["image"], before[1] + 0.5, rtol=1e-5)


def test_generated_tuples_share_one_content_code():
    model = adversarial_toys.model("joint")
    real, _ = model._encoded(toys.values(N), FixedNoise(N), "a")
    fake = model._generated(real, FixedNoise(N), "a")
    assert fake.shared["vector"] is fake.shared["image"]
    assert not np.array_equal(real.shared["vector"], real.shared["image"])
    assert not np.array_equal(fake.private["vector"], fake.private["image"])
    decoded = model.generators.decode("image", fake.shared["image"], fake.private["image"])
    np.testing.assert_allclose(decoded, fake.x["image"], **ROUNDING)


@pytest.mark.parametrize("joint", [False, True])
def test_regularisers_are_squared_errors_of_there_and_back(joint):
    weights = {"reconstruction_weight": 0.5, "content_weight": 0.4, "style_weight": 0.2, "joint_reconstruction": joint}
    model, noise, values = adversarial_toys.model("joint", **weights), FixedNoise(N), toys.values(N)
    terms = model.terms(values, None, noise, 0)
    real, posteriors = model._encoded(values, noise, "generators/paired")
    fake = model._generated(real, noise, "generators/paired")
    for name in model.names:
        shared = regularisers._joint(posteriors, noise, "rebuilt")[name] if joint else real.shared[name]
        rebuilt = model.generators.decode(name, shared, real.private[name])
        expected = 0.5 * np.mean(np.asarray(rebuilt - real.x[name]).reshape(N, -1) ** 2, -1)
        np.testing.assert_allclose(terms[f"generator/reconstruction/{name}"], expected, rtol=1e-4)
        for kind, q in (("shared", posteriors.shared[name]), ("private", posteriors.private[name])):
            entropy = np.sum(np.log(np.asarray(q.stddev())) + 0.5 * np.log(2 * np.pi * np.e), -1)
            np.testing.assert_allclose(terms[f"entropy/{kind}/{name}"], entropy, rtol=1e-4, atol=1e-5)
    again = model.generators.encode(fake.x)
    if joint:
        precision = np.mean([1 / np.asarray(q.stddev()) ** 2 for q in again.shared.values()], axis=0)
        mean = np.mean([np.asarray(q.loc / q.stddev() ** 2) for q in again.shared.values()], axis=0) / precision
        back = mean + noise.normal("again/joint/all", 3) / np.sqrt(precision)
        expected = 0.4 * np.mean((back - fake.shared["image"]) ** 2, -1)
        np.testing.assert_allclose(terms["generator/content"], expected, rtol=1e-4)
    else:
        q = again.shared["image"]
        back = q.loc + q.stddev() * noise.normal("again/shared/image", 3)
        expected = 0.4 * np.mean((back - fake.shared["image"]) ** 2, -1)
        np.testing.assert_allclose(terms["generator/content/image"], expected, rtol=1e-4)
    q = again.private["text"]
    back = q.loc + q.stddev() * noise.normal("again/private/text", 2)
    expected = 0.2 * np.mean((back - fake.private["text"]) ** 2, -1)
    np.testing.assert_allclose(terms["generator/style/text"], expected, rtol=1e-4)


def test_a_product_of_experts_is_allowed_with_a_warning(caplog):
    values = toys.values(4)
    sharp = adversarial_toys.model("joint", subset_posterior="product")
    assert [r.message for r in caplog.records if "product of experts" in r.message]
    wide, mixed = adversarial_toys.model("joint"), adversarial_toys.model("joint", subset_posterior="arithmetic")
    assert np.all(sharp.posterior(values).stddev() < wide.posterior(values).stddev())
    experts = wide.encode(values).shared
    np.testing.assert_allclose(mixed.posterior(values).mean(), sum(q.loc for q in experts.values()) / 3, rtol=1e-5)
    precisions = sum(1 / q.stddev() ** 2 for q in experts.values()) / 3
    np.testing.assert_allclose(wide.posterior(values).stddev(), precisions**-0.5, rtol=1e-5)


def test_encoders_stay_gaussians_however_certain_they_become():
    model, values = adversarial_toys.model("joint"), toys.values(4)
    for head in model.coders.heads.values():
        loc, log_variance = model.shared_dim, 2 * model.shared_dim
        head.bias.assign(tf.tensor_scatter_nd_update(head.bias, [[k] for k in range(loc, log_variance)], [-1e4] * loc))
    experts = model.encode(values).shared
    for q in experts.values():
        np.testing.assert_allclose(q.stddev(), 0.01, rtol=1e-3)
        assert np.all(np.isfinite(q.entropy()))
    # None is more certain than another, and each counts alike.
    np.testing.assert_allclose(model.posterior(values).mean(), sum(q.loc for q in experts.values()) / 3, rtol=1e-4, atol=1e-5)


def test_a_likelihood_is_refused_with_the_reason():
    with pytest.raises(UserError, match="no likelihood: its decoders are deterministic"):
        adversarial_toys.model("joint", count=2).log_likelihood(None, None, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 1}, "several modalities; 1 was given"),
        ({"private": 0}, "needs a private code"),
        ({"subset_posterior": "harmonic"}, "geometric, arithmetic, product"),
        ({"alignment_form": "both"}, "classes, binary"),
    ],
)
def test_what_an_adversarial_model_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        adversarial_toys.model(**options)


def test_every_adversarial_model_has_its_contract():
    """`AdversarialContract`, in tests/models/gan/test_mmali.py and tests/models/gan/test_mmali_joint.py."""
    assert {n for n in registry.MODELS if issubclass(registry.model_class(n), AdversarialModel)} == {"mmali", "mmali_joint"}
    assert set(adversarial_toys.KINDS) == {"classes", "binary", "joint"}
