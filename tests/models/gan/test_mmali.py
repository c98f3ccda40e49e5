"""MMALI: what every game keeps to, with both forms of its alignment; its tuples, and that sharing work changes nothing."""

import adversarial_toys
import numpy as np
import pytest
import tensorflow as tf
import toys
from adversarial_contract import AdversarialContract, TrainedAdversarialContract
from toys import ROUNDING, FixedNoise

from mmtf import registry
from mmtf.config import Config, DataConfig, ModelConfig
from mmtf.distributed import random, strategies
from mmtf.errors import UserError
from mmtf.modality import Modality
from mmtf.models.gan import losses
from mmtf.networks.spectral import leaky

N = 8
OPTIONS = {
    "model": "mmali",
    "unimodal_weight": 0.3,
    "reconstruction_weight": 0.5,
    "content_weight": 0.4,
    "style_weight": 0.2,
    "joint_reconstruction": True,
    "subset_posterior": "arithmetic",
}


class TestClasses(TrainedAdversarialContract):
    kind = "classes"
    options = OPTIONS


class TestBinary(AdversarialContract):
    kind = "binary"


def test_the_config_says_the_form_of_the_alignment():
    config = Config(DataConfig("arrays"), ModelConfig("mmali", 2, 2, alignment_form="binary"))
    model = registry.build_model(config, registry.configure([Modality(n, (3,), "normal") for n in "ab"], config.model))
    assert not model.with_classes
    assert model.loss_weights.unimodal == model.options.unimodal_weight


def test_the_unimodal_adversarial_model_needs_no_pairs():
    """What is beside a single value in another modality changes none of its terms, and no pairing exists in them.

    In the form of classes the alignment, too, is about single values.
    """
    model = adversarial_toys.model(**adversarial_toys.NO_REGULARISERS | {"unimodal_weight": 0.5})
    paired, single = toys.values(N), toys.values(N, seed=7)
    other = single | {"image": toys.values(N, seed=9)["image"][::-1].copy()}
    found = [
        {
            phase: model._phase_terms(phase, paired, alone, FixedNoise(N), advance=False)
            for phase in ("discriminators", "generators")
        }
        for alone in (single, other)
    ]
    for phase, terms in found[0].items():
        for name, term in terms.items():
            if name.startswith("accuracy/"):  # of few examples, which may be equal by chance
                continue
            same = np.allclose(term, found[1][phase][name], **ROUNDING)
            of_single = "single" in name or "alignment" in name
            assert same == (not (of_single and "image" in name) and not name.endswith("/loss")), name


def test_a_modality_by_itself_is_rebuilt_without_pairs():
    model = adversarial_toys.model(**adversarial_toys.NO_REGULARISERS | {"unimodal_weight": 0.5, "reconstruction_weight": 0.5})
    paired, noise = toys.values(N), FixedNoise(N)
    found = [
        model._phase_terms("generators", batch, toys.values(N, seed=7), noise, advance=False)["generator/reconstruction/image"]
        for batch in (paired, {n: x[::-1].copy() for n, x in paired.items()})
    ]
    np.testing.assert_allclose(*found, **ROUNDING)


def naive_score(discriminator, x, z):
    """A pair critic without any sharing: concatenated features, normalised kernels, layer after layer."""
    for layer in discriminator.value_tower:
        x = leaky(layer(x))
    for layer in discriminator.code_tower:
        z = leaky(layer(z))
    both = tf.concat([tf.reshape(x, [len(x), -1]), z], -1)
    for layer in discriminator.trunk[:-1]:
        both = leaky(layer(both))
    return discriminator.trunk[-1](both)


def naive_dependence(discriminator, x):
    parts = []
    for name, tower in discriminator.towers.items():
        h = x[name]
        for layer in tower:
            h = leaky(layer(h))
        parts.append(h)
    both = tf.concat(parts, -1)
    for layer in discriminator.trunk[:-1]:
        both = leaky(layer(both))
    return discriminator.trunk[-1](both)[:, 0]


@pytest.mark.parametrize("form", ["classes", "binary"])
def test_shared_work_changes_no_logit(form):
    """Against one plain pass through each network per kind of tuples."""
    model, noise = adversarial_toys.model(form), FixedNoise(N)
    real, _ = model._encoded(toys.values(N), noise, "a")
    fake = model._generated(real, noise, "a")
    logits, _ = model.joint_logits(real, fake, None, None)
    networks = model.discriminators
    for kind, of in enumerate([*model.names, None]):
        source = real if of else fake
        b, d = [], []
        for name in model.names:
            z = tf.concat([source.private[name], source.shared[of or name]], -1)
            b.append(naive_score(networks[f"content.{name}"], source.x[name], z)[:, 0])
            out = naive_score(networks[f"alignment.{name}"], source.x[name], z)
            d.append(out[:, 0] - out[:, 1] if form == "classes" else out[:, 0])
        expected = losses.factorized_logits(naive_dependence(networks["dependence"], source.x), b, d)
        np.testing.assert_allclose(logits[kind], expected, rtol=1e-4, atol=1e-5)


class Played:
    """The discriminators' turn on paired values and on single ones: its terms, and the tuples that they are about."""

    def __init__(self, form, phase="discriminators", **options):
        chosen = adversarial_toys.NO_REGULARISERS | {"unimodal_weight": 0.5} | options
        self.model = adversarial_toys.model(form, **chosen)
        noise, values = FixedNoise(N), {"paired": toys.values(N), "single": toys.values(N, seed=7)}
        self.terms = self.model._phase_terms(phase, *values.values(), noise, advance=False)
        self.real, self.fake = {}, {}
        for which, x in values.items():
            self.real[which], _ = self.model._encoded(x, noise, f"{phase}/{which}")
            self.fake[which] = self.model._generated(self.real[which], noise, f"{phase}/{which}")

    def scored(self, part, tuples, of=None):
        discriminator = self.model.discriminators[f"{part}.image"]
        return naive_score(discriminator, tuples.x["image"], tuples.codes("image", of))

    def check(self, term, expected):
        np.testing.assert_allclose(self.terms[f"discriminator/{term}"], expected, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module", params=["classes", "binary"])
def played(request):
    return request.param, Played(request.param)


def shifted(rows, places):
    """Each row in the place of the one so many places before it, in blocks of four."""
    index = np.arange(N).reshape(-1, 4)[:, (np.arange(4) + places) % 4].ravel()
    return tf.gather(rows, index)


def test_content_is_told_from_values_beside_a_code_of_the_prior(played):
    _, phase = played
    for which, prefix in (("paired", ""), ("single", "single_")):
        real, fake = phase.real[which], phase.fake[which]
        torn = tf.concat([shifted(real.private["image"], 1), fake.shared["image"]], -1)
        below = naive_score(phase.model.discriminators["content.image"], shifted(real.x["image"], 1), torn)
        above = phase.scored("content", real)
        phase.check(f"{prefix}content/image", losses.ratio_logistic_losses(above[:, 0], below[:, 0]))


FORMS = [("classes", "classes"), ("classes", "ratio"), ("binary", "classes")]


@pytest.mark.parametrize(("form", "unimodal"), FORMS)
def test_alignment_tells_encoded_from_generated_tuples_and_in_classes_from_others_codes(form, unimodal):
    phase = Played(form, unimodal_form=unimodal)
    kinds = [phase.scored("alignment", tuples["paired"]) for tuples in (phase.real, phase.fake)]
    alone = [phase.scored("alignment", tuples["single"]) for tuples in (phase.real, phase.fake)]
    others = [phase.scored("alignment", phase.real["paired"], of) for of in ("vector", "text")]
    if (form, unimodal) == ("classes", "classes"):
        phase.check("alignment/image", losses.class_losses(alone + others))
        assert "discriminator/single_alignment/image" not in phase.terms
        return
    if form == "classes":
        phase.check("alignment/image", losses.class_losses(kinds + others))
        ratios = [x[:, 0] - x[:, 1] for x in alone]
    else:
        phase.check("alignment/image", losses.ratio_logistic_losses(*(x[:, 0] for x in kinds)))
        ratios = [x[:, 0] for x in alone]
    phase.check("single_alignment/image", losses.ratio_logistic_losses(*ratios))


@pytest.mark.parametrize(("form", "unimodal"), FORMS)
def test_encoders_and_decoders_meet_the_release_s_classes_or_the_ratio_alone(form, unimodal):
    """[C]'s release: over the samples of kind l, the mean over i != l of the cross-entropy to i, times 2 / (1 + M)."""
    phase = Played(form, "generators", unimodal_form=unimodal)
    alone = [phase.scored("alignment", tuples["single"]).numpy() for tuples in (phase.real, phase.fake)]
    if (form, unimodal) == ("classes", "classes"):
        kinds = alone + [phase.scored("alignment", phase.real["paired"], of).numpy() for of in ("vector", "text")]
        log_p = [x - np.log(np.exp(x).sum(1, keepdims=True)) for x in kinds]
        each = [np.mean([-x[:, i] for i in range(4) if i != kind], axis=0) for kind, x in enumerate(log_p)]
        expected = 2 / (1 + 3) * np.sum(each, axis=0)
    else:
        encoded, generated = (x[:, 0] - x[:, 1] if form == "classes" else x[:, 0] for x in alone)
        expected = np.log1p(np.exp(encoded)) + np.log1p(np.exp(-generated))
    np.testing.assert_allclose(phase.terms["generator/single/image"], 0.5 * expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "said"), [({"alignment_form": "binary"}, "alignment_form"), ({"unimodal_weight": 0}, "weight")]
)
def test_a_form_of_the_unimodal_terms_that_does_nothing_is_refused(options, said):
    with pytest.raises(UserError, match=f"--unimodal_form=ratio does nothing with --.*{said}.*remove it"):
        ModelConfig("mmali", 2, 2, unimodal_form="ratio", **options).check()


def test_dependence_is_told_from_values_of_different_examples(played):
    _, phase = played
    discriminator, x = phase.model.discriminators["dependence"], phase.real["paired"].x
    apart = naive_dependence(discriminator, {name: shifted(rows, place) for place, (name, rows) in enumerate(x.items())})
    phase.check("dependence", losses.ratio_logistic_losses(naive_dependence(discriminator, x), apart))


@pytest.mark.slow
def test_losses_and_gradients_by_xla_are_the_same_on_two_replicas(monkeypatch):
    """As on several accelerators; the spectral norms' directions move on as they do without it."""
    monkeypatch.setattr(random, "Noise", toys.TableNoise)
    plain, inside = (stepped("binary", inside) for inside in (False, True))
    for name, value in plain.items():
        np.testing.assert_allclose(inside[name], value, rtol=1e-3, atol=1e-5, err_msg=name)


def stepped(kind, inside, strategy_name="mirrored"):
    """Weights after two steps on two replicas, each with half of the examples."""
    strategy = strategies.make_strategy(strategy_name)
    with strategy.scope():
        model = adversarial_toys.compiled(adversarial_toys.model(kind, count=2))
        model.compiles_gradients = inside
    data = [adversarial_toys.data(model, N, seed=seed) for seed in range(2)]
    batches = tf.data.Dataset.from_tensor_slices(tf.nest.map_structure(lambda *x: np.stack(x), *data))
    model.fit(batches, steps_per_epoch=2, epochs=1, shuffle=False, verbose=0)
    return adversarial_toys.state(model)
