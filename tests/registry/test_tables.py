"""The tables of names: every model and data set has what it needs, options reach the model, and every flag file is valid."""

import dataclasses
import json

import pytest
import toys
from absl import flags
from checkout import CONFIGS

from mmtf import config as declared
from mmtf import registry
from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
from mmtf.config.names import MODELS, name_of
from mmtf.data import celeba, digits, mnist_svhn, multimnist
from mmtf.distributions.family import FAMILIES
from mmtf.errors import UserError
from mmtf.modality import Modality
from mmtf.models.gan.base import AdversarialModel, AdversarialWeights
from mmtf.models.vae.base import MultimodalVAE
from mmtf.models.vae.contrastive import Contrast
from mmtf.models.vae.elbo import Betas
from mmtf.networks import adversarial, celeba_image, celeba_text, classifiers, mnist, svhn, text, vector
from mmtf.verbs import evaluate, train


def test_every_model_is_tested():
    classes = {name: registry.model_class(name) for name in registry.MODELS}
    assert {n: cls for n, cls in classes.items() if issubclass(cls, MultimodalVAE)} == toys.MODELS
    assert {n for n, cls in classes.items() if issubclass(cls, AdversarialModel)} == set(classes) - set(toys.MODELS)


@pytest.mark.parametrize("name", registry.MODELS)
def test_a_model_has_the_options_that_its_flags_were_made_of(name):
    assert registry.model_class(name).Options is MODELS.options_of(name)
    assert name_of(registry.model_class(name)) == name


@pytest.mark.slow
@pytest.mark.parametrize("model", sorted(registry.MODELS))
def test_every_model_trains_on_the_digits_and_does_what_models_do(tmp_path, model):
    """With the papers' networks; on small ones every model is trained, resumed and exported by its contract."""
    how = TrainConfig(batch_size=16, steps=2, panels_every=0, strategy="one")
    settings = Config(DataConfig(pairings=1), ModelConfig(model, shared_dim=4, private_dim=2), how)
    found, _ = evaluate.load_model(train.train(settings, tmp_path / "run"))
    drawn = found.generate(3, (0, 1))
    again = found.translate({n: x[:2] for n, x in list(drawn.items())[:1]})
    assert list(drawn) == list(found.names)
    assert list(again) == list(found.names)[1:]


# ---- modalities and their networks -------------------------------------------------------------------------------------


def test_modalities_get_the_networks_that_the_papers_give_them():
    column = Modality("column", (3,))
    for dataset, modalities, wanted in (
        ("digits", digits.MODALITIES, (mnist, svhn, text)),
        ("mnist_svhn", (mnist_svhn.MNIST, mnist_svhn.SVHN), (mnist, svhn)),
        ("mnist_svhn_text", (mnist_svhn.MNIST, mnist_svhn.SVHN, mnist_svhn.TEXT), (mnist, svhn, text)),
        ("multimnist", [Modality(multimnist.name(90), (28, 28, 1))], (mnist,)),
        ("celeba", (Modality("image", (64, 64, 3)), Modality("text", (256,))), (celeba_image, celeba_text)),
        ("arrays", [column], (vector,)),
    ):
        assert tuple(registry.networks_of(dataset, m) for m in modalities) == wanted, dataset
    found = {m.name: registry.networks_of("digits", m, for_adversarial=True) for m in digits.MODALITIES}
    assert found == {"digit": adversarial.mnist, "scene": adversarial.svhn, "word": adversarial.tokens}
    found = {m.name: registry.classifier_of("digits", m) for m in digits.MODALITIES}
    assert found == {"digit": classifiers.mnist, "scene": classifiers.svhn, "word": classifiers.text}
    assert registry.classifier_of("arrays", column) is vector.classifier
    assert registry.networks_of("arrays", column, for_adversarial=True) is adversarial.default_of(column)
    assert (registry.classifier_epochs("mnist_svhn", "svhn"), registry.classifier_epochs("digits", "scene")) == (40, None)
    assert dict(registry.fills_of("celeba")) == {"text": celeba.FILL}
    assert dict(registry.fills_of("digits")) == {}


def test_some_modalities_of_a_data_set():
    found = registry.load_data(DataConfig(pairings=1, modalities="word,digit"))
    assert [m.name for m in found.modalities] == ["digit", "word"]
    assert found.modalities[0].likelihood_weight == 1.0
    with pytest.raises(UserError, match="--modalities=digit,wird: Unknown modality 'wird'"):
        registry.load_data(DataConfig(pairings=1, modalities="digit,wird"))


def test_modalities_are_configured_by_name():
    options = ModelConfig(private_dim=3, private_weights="text=5,image=0.5", likelihood_weights="vector=7")
    found = registry.configure(toys.modalities(), options)
    assert [m.private_dim for m in found] == [3, 3, 3]
    assert [m.private_weight for m in found] == [2.0, 0.5, 5.0]
    assert [m.likelihood_weight for m in found] == [7.0, 1.0, 2.0]
    for wrong in ({"private_weights": "word=2"}, {"likelihood_weights": "word=2"}):
        with pytest.raises(UserError, match="names 'word', but the modalities are vector, image, text"):
            registry.configure(toys.modalities(), ModelConfig(private_dim=3, **wrong))


def test_a_release_s_departures_are_in_the_modalities_and_the_model(monkeypatch):
    quirks = "log_softmax_as_probabilities,unit_weights_of_single_bounds"
    options = ModelConfig("mvae", quirks=quirks)
    found = registry.configure(toys.modalities(), options)
    assert [m.log_softmax_as_probabilities for m in found] == [False, False, True]
    model = registry.build_model(Config(DataConfig("arrays"), options), found)
    assert model.modality_weights("only_text")["text"].likelihood_weight == 1.0
    assert model.modality_weights("joint")["text"].likelihood_weight == 2.0
    with pytest.raises(UserError, match="does nothing here: none of vector, image is categorical"):
        registry.configure(toys.modalities(count=2), ModelConfig(quirks="log_softmax_as_probabilities"))


# ---- options of models -------------------------------------------------------------------------------------------------


def built(model, train=None, **options):
    """A model of three modalities with their default networks."""
    chosen = ModelConfig(model, shared_dim=6, private_dim=2, **options)
    settings = Config(DataConfig("arrays"), chosen, TrainConfig(seed=3, **train or {}))
    return registry.build_model(settings, registry.configure(toys.modalities(), settings.model))


BETAS = {"beta": 3.0, "shared_beta": 0.5, "private_beta": 0.25}
SAMPLED = {"importance_samples": 4, "importance_bound": "tight", "gradient_estimator": "stl", "posterior_family": "laplace"}


@pytest.mark.parametrize(
    ("model", "options", "wanted"),
    [
        ("mmjsd", {"prior_weight": 0.3}, {"prior_weight": 0.3, "contrast": None}),
        ("mmjsd", {}, {"prior_weight": 0.25}),
        ("mmvae", {"warmup_steps": 9, "beta_start": 2.0}, {"betas": Betas(warmup_steps=9, beta_start=2.0)}),
        ("mopoe", BETAS, {"betas": Betas(**BETAS)}),
        ("mvae", {"mvae_subsets": 1, "importance_samples": 4}, {"_samples": 4}),
        ("mvae", {}, {"_samples": None, "_unit_weights": False}),
        ("mvae", {"contrast": "cubo"}, {"_samples": 30}),
        ("jmvae", {"alpha": 0.7, "warmup_steps": 9, "alpha_start": 0.2}, {"alpha": 0.7, "alpha_start": 0.2}),
        ("mvtcae", {"alpha": 0.7}, {"alpha": 0.7}),
        ("mvtcae", {}, {"alpha": 0.1}),
        ("mmvae_iw", SAMPLED, {"_samples": 4, "_bound": "tight", "_estimator": "stl"}),
        ("mmvae_plus", {}, {"_samples": 30, "_bound": "looser", "_estimator": "dreg"}),
        ("mmvae_plus", {"contrast": "cubo"}, {"_estimator": "iwae"}),
        (
            "mmjsd",
            {"contrast": "iwae", "contrast_gamma": 3.0, "contrast_negatives": 4, "importance_samples": 7},
            {"contrast": Contrast("iwae", 3.0, 4, 7, "all")},
        ),
        ("mmjsd", {"contrast": "cubo", "contrast_trains": "decoders"}, {"contrast": Contrast("cubo", trained="decoders")}),
    ],
)
def test_the_options_of_a_vae_reach_it(model, options, wanted):
    found = built(model, {"microbatch": 8}, **options)
    assert {name: getattr(found, name) for name in wanted} == wanted
    assert (found.shared_dim, found.seed, found.name, found.microbatch) == (6, 3, model, 8)
    assert {name: network.input_shape for name, network in found.coders.decoders.items()} == dict.fromkeys(
        found.names, (None, 8)
    )
    assert found.coders.family is FAMILIES[options.get("posterior_family", "normal")]
    assert ("subset_0" in found.bound_modalities()) == bool(options.get("mvae_subsets"))
    # Equal networks start at weights of their own.
    networks = found.networks
    kernels = [part["vector"].weights[0].numpy() for name, part in networks.items() if name != "decoders"]
    assert len({kernel.tobytes() for kernel in kernels}) == len(kernels) == (2 if model == "jmvae" else 1)


PLAYED = {"unimodal_weight": 0.2, "reconstruction_weight": 3.0, "content_weight": 4.0, "style_weight": 5.0}
WEIGHTS = AdversarialWeights(0.2, 3.0, 4.0, 5.0, joint_reconstruction=True)
AVERAGED = {"average_decay": 0.25, "average_start": 7, "subset_posterior": "arithmetic"}


@pytest.mark.parametrize(("form", "outputs"), [("classes", 4), ("binary", 1)])
def test_the_options_of_mmali_reach_it(form, outputs):
    found = built("mmali", alignment_form=form, joint_reconstruction=True, **PLAYED, **AVERAGED)
    assert {name: getattr(found, name) for name in AVERAGED} == AVERAGED
    assert (found.loss_weights, found.with_classes, found.seed) == (WEIGHTS, form == "classes", 3)
    names = [f"{part}.{name}" for part in ("content", "alignment") for name in found.names]
    assert list(found.discriminators) == ["dependence", *names]
    last = {name: found.discriminators[name].trunk[-1].kernel.shape[1] for name in names if name.endswith("vector")}
    assert last == {"content.vector": 1, "alignment.vector": outputs}


def test_the_options_of_the_joint_discriminator_reach_it():
    """It sees all codes, and has no unimodal values to tell from others."""
    played = {name: weight for name, weight in PLAYED.items() if name != "unimodal_weight"}
    found = built("mmali_joint", joint_reconstruction=True, **played, **AVERAGED)
    assert {name: getattr(found, name) for name in AVERAGED} == AVERAGED
    assert found.loss_weights == dataclasses.replace(WEIGHTS, unimodal=0.0)
    (joint,) = found.discriminators.values()
    assert joint.code_tower[0].kernel.shape[0] == 6 + 3 * 2


# ---- flag files --------------------------------------------------------------------------------------------------------


def test_every_flagfile_is_valid():
    files = sorted(CONFIGS.rglob("*.cfg"))
    assert len(files) >= 7
    for file in files:
        holder = flags.FlagValues()
        declared.define_flags(flag_values=holder)
        flags.DEFINE_string("flagfile", "", "", flag_values=holder)
        holder(["program", f"--flagfile={file}"])
        found = declared.from_flags(holder)
        registry.check_names(found)
        assert json.loads(json.dumps(found.to_json()))
        assert file.read_text().startswith("#"), f"{file} must begin with what it reproduces and what it costs"
