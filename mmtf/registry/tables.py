"""The only tables of names: what `--model`, `--dataset` and the networks of a data set's modalities are called."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType

import keras

from mmtf.config import Config, DataConfig, ModelConfig, named_numbers, quirk_names
from mmtf.config.schema import LOG_SOFTMAX
from mmtf.data import celeba, cub, digits, mnist_svhn, multimnist
from mmtf.data.arrays import builders
from mmtf.data.dataset import MultimodalData
from mmtf.distributed import platform
from mmtf.errors import UserError
from mmtf.modality import Modality
from mmtf.models.base import LatentModel
from mmtf.models.gan.mmali import MMALI
from mmtf.models.gan.mmali_joint import JointMMALI
from mmtf.models.vae.jmvae import JMVAE
from mmtf.models.vae.mmjsd import MMJSD
from mmtf.models.vae.mmvae import MMVAE
from mmtf.models.vae.mmvae_iw import ImportanceMMVAE
from mmtf.models.vae.mmvae_plus import MMVAEPlus
from mmtf.models.vae.mopoe import MoPoE
from mmtf.models.vae.mvae import MVAE
from mmtf.models.vae.mvtcae import MVTCAE
from mmtf.networks import adversarial, celeba_classifiers, celeba_image, celeba_text, classifiers, default, mnist, svhn, text
from mmtf.registry import factory


@dataclasses.dataclass(frozen=True)
class ModelEntry:
    """A model.

    Attributes:
      build: its class.
      parts: what makes its networks and weights: `factory.of_vae` or another.
      adversarial: whether it takes the networks of a game.
      options: the config fields that are its own, by the class's argument.
    """

    build: type[LatentModel]
    parts: Callable[..., dict] = factory.of_vae
    adversarial: bool = False
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class DatasetEntry:
    """A data set: how it is loaded, and per modality its networks and its coherence classifier.

    A modality without a row gets the networks of `networks.default` for its kind of values. `classifier_epochs` is for
    classifiers that need more than `metrics.classifier.default_epochs`. `adversarial` are networks of games, `joint_sizes` the
    sizes of discriminators that see all modalities. `fills` are characters behind shorter texts, where they are not spaces.
    """

    load: Callable[[DataConfig], MultimodalData]
    networks: Mapping[str, ModuleType] = dataclasses.field(default_factory=dict)
    classifiers: Mapping[str, Callable[..., keras.Model]] = dataclasses.field(default_factory=dict)
    classifier_epochs: Mapping[str, int] = dataclasses.field(default_factory=dict)
    adversarial: Mapping[str, ModuleType] = dataclasses.field(default_factory=dict)
    joint_sizes: factory.JointDiscriminatorSizes = dataclasses.field(default_factory=factory.JointDiscriminatorSizes)
    fills: Mapping[str, str] = dataclasses.field(default_factory=dict)


# Half of its features are dropped while it learns: on 8,000 images of SVHN, 15 epochs come to 0.82 on others and 40 to 0.87.
SVHN_EPOCHS = 40

IMPORTANCE = {"bound": "importance_bound", "estimator": "gradient_estimator"}

MODELS = {
    "mmjsd": ModelEntry(MMJSD, options={"prior_weight": "prior_weight"}),
    "mmvae": ModelEntry(MMVAE),
    "mvae": ModelEntry(MVAE, factory.of_mvae, options={"random_subsets": "mvae_subsets"}),
    "mopoe": ModelEntry(MoPoE),
    "jmvae": ModelEntry(JMVAE, factory.of_jmvae, options={"alpha": "alpha", "alpha_start": "alpha_start"}),
    "mvtcae": ModelEntry(MVTCAE, options={"alpha": "alpha"}),
    "mmvae_iw": ModelEntry(ImportanceMMVAE, factory.of_importance_mmvae, options=IMPORTANCE),
    "mmvae_plus": ModelEntry(MMVAEPlus, factory.of_importance_mmvae, options=IMPORTANCE),
    "mmali": ModelEntry(MMALI, factory.of_mmali, adversarial=True, options={"alignment_form": "alignment_form"}),
    "mmali_joint": ModelEntry(JointMMALI, factory.of_joint_mmali, adversarial=True),
}

DATASETS = {
    "digits": DatasetEntry(
        lambda config: digits.load(
            config.pairings or 20, config.data_seed, fraction=config.data_fraction, unpaired=config.unpaired_pools
        ),
        {"digit": mnist, "scene": svhn, "word": text},
        {"digit": classifiers.mnist, "scene": classifiers.svhn, "word": classifiers.text},
        adversarial={"digit": adversarial.mnist, "scene": adversarial.svhn, "word": adversarial.tokens},
    ),
    "mnist_svhn_text": DatasetEntry(
        mnist_svhn.load_with_text,
        {"mnist": mnist, "svhn": svhn, "text": text},
        {"mnist": classifiers.mnist, "svhn": classifiers.svhn, "text": classifiers.text},
        {"svhn": SVHN_EPOCHS},
        {"mnist": adversarial.mnist, "svhn": adversarial.svhn, "text": adversarial.tokens},
    ),
    "mnist_svhn": DatasetEntry(
        mnist_svhn.load,
        {"mnist": mnist, "svhn": svhn},
        {"mnist": classifiers.mnist, "svhn": classifiers.svhn},
        {"svhn": SVHN_EPOCHS},
        {"mnist": adversarial.mnist, "svhn": adversarial.svhn},
    ),
    "multimnist": DatasetEntry(
        multimnist.load,
        {multimnist.name(degrees): mnist for degrees in multimnist.ROTATIONS},
        {multimnist.name(degrees): classifiers.mnist for degrees in multimnist.ROTATIONS},
        adversarial={multimnist.name(degrees): adversarial.mnist for degrees in multimnist.ROTATIONS},
        joint_sizes=factory.WITH_TRUNK,
    ),
    "celeba": DatasetEntry(
        celeba.load,
        {"image": celeba_image, "text": celeba_text},
        {"image": celeba_classifiers.image, "text": celeba_classifiers.text},
        fills={"text": celeba.FILL},
    ),
    "cub": DatasetEntry(
        lambda config: cub.load(config, config.features_dir),
        joint_sizes=factory.JointDiscriminatorSizes(tower=(), trunk=(512, 512)),
    ),
    "arrays": DatasetEntry(builders.load),
}


def check_names(config: Config) -> None:
    """Raises UserError where the model or the data set does not exist."""
    _look_up(MODELS, config.model.model, "model")
    _look_up(DATASETS, config.data.dataset, "dataset")


def load_data(config: DataConfig) -> MultimodalData:
    """The data set that the config names, with the modalities that it names.

    Raises:
      UserError: as the data set's `load`; or a modality that it does not have.
    """
    data = _look_up(DATASETS, config.dataset, "dataset").load(config)
    if not config.modalities:
        return data
    try:
        return data.only([name.strip() for name in config.modalities.split(",")])
    except ValueError as error:
        raise UserError(f"--modalities={config.modalities}: {error}") from error


def model_class(name: str) -> type[LatentModel]:
    """The class of a model. Raises UserError where there is none of that name."""
    return _look_up(MODELS, name, "model").build


def networks_of(dataset: str, modality: Modality, *, for_adversarial: bool = False) -> ModuleType:
    """The module with `encoder` and `decoder` for a modality of a data set; of games, with parts of discriminators too."""
    entry = _look_up(DATASETS, dataset, "dataset")
    if for_adversarial:
        return entry.adversarial.get(modality.name) or adversarial.default_of(modality)
    return entry.networks.get(modality.name) or default.networks_of(modality)


def classifier_of(dataset: str, modality: Modality) -> Callable[..., keras.Model]:
    """What builds the modality's coherence classifier: `(modality, num_classes, seed=)` -> model that returns logits."""
    own = _look_up(DATASETS, dataset, "dataset").classifiers.get(modality.name)
    return own or default.networks_of(modality).classifier


def classifier_epochs(dataset: str, modality: str) -> int | None:
    """Epochs of the modality's classifier; None for the usual number."""
    return _look_up(DATASETS, dataset, "dataset").classifier_epochs.get(modality)


def fills_of(dataset: str) -> Mapping[str, str]:
    """The characters behind a data set's shorter texts, by modality, where they are not spaces."""
    return _look_up(DATASETS, dataset, "dataset").fills


def configure(modalities: Sequence[Modality], config: ModelConfig) -> tuple[Modality, ...]:
    """The data set's modalities with the config's private size and weights.

    Raises:
      UserError: a weight for a modality that does not exist.
    """
    names = tuple(m.name for m in modalities)
    likelihood = named_numbers(config.likelihood_weights, "likelihood_weights", names)
    private = named_numbers(config.private_weights, "private_weights", names)
    inverted = LOG_SOFTMAX in quirk_names(config)
    if inverted and not any(m.likelihood == "categorical" for m in modalities):
        raise UserError(f"--quirks={LOG_SOFTMAX} does nothing here: none of {', '.join(names)} is categorical. Remove it.")
    return tuple(
        dataclasses.replace(
            m,
            private_dim=config.private_dim,
            private_weight=private.get(m.name, m.private_weight),
            likelihood_weight=likelihood.get(m.name, m.likelihood_weight),
            log_softmax_as_probabilities=inverted and m.likelihood == "categorical",
        )
        for m in modalities
    )


def build_model(config: Config, modalities: Sequence[Modality], precision: str = "float32") -> LatentModel:
    """The model of a config, with fresh weights, every variable made.

    Args:
      modalities: with their private sizes and weights, as `configure` returns them and the run directory keeps them.
      precision: numbers that its networks compute with, `float32` or `bfloat16`. The variables are float32 under both.

    Raises:
      UserError: an unknown name, or sizes that do not fit together.
    """
    entry = _look_up(MODELS, config.model.model, "model")
    dataset = _look_up(DATASETS, config.data.dataset, "dataset")
    networks = {m.name: networks_of(config.data.dataset, m, for_adversarial=entry.adversarial) for m in modalities}
    try:
        with platform.networks_compute_in(precision):
            return entry.build(
                modalities,
                **entry.parts(config, modalities, networks, dataset.joint_sizes),
                **{argument: getattr(config.model, field) for argument, field in entry.options.items()},
                shared_dim=config.model.shared_dim,
                seed=config.train.seed,
                name=config.model.model,
            )
    except ValueError as error:
        raise UserError(str(error)) from error


def _look_up(table: Mapping, name: str, kind: str):
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UserError(f"Unknown --{kind}={name!r}; there are: {', '.join(sorted(table))}.{hint}")
