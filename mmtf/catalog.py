"""The only tables of names: what `--model`, `--dataset` and the networks of a data set's modalities are called."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType

import keras

from mmtf.config import Config, DataConfig, ModelConfig, named_numbers
from mmtf.data import celeba, cub, digits, mnist_svhn, multimnist
from mmtf.data.dataset import MultimodalData
from mmtf.data.own import arrays
from mmtf.errors import UserError
from mmtf.modality import Modality
from mmtf.networks import celeba_classifiers, celeba_image, celeba_text, classifiers, default, mnist, svhn, text
from mmtf.runtime import derived_seed
from mmtf.vae.elbo import Betas
from mmtf.vae.mmjsd import MMJSD
from mmtf.vae.mmvae import MMVAE
from mmtf.vae.model import MultimodalVAE
from mmtf.vae.mvae import MVAE


@dataclasses.dataclass(frozen=True)
class ModelEntry:
    """A model: its class, and the config fields that are its own, by the class's argument."""

    build: type[MultimodalVAE]
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class DatasetEntry:
    """A data set: how it is loaded, and per modality its networks and its coherence classifier.

    A modality without a row gets the networks of `networks.default` for its kind of values. `classifier_epochs` is for
    classifiers that need more than `metrics.classifier.default_epochs`.
    """

    load: Callable[[DataConfig], MultimodalData]
    networks: Mapping[str, ModuleType] = dataclasses.field(default_factory=dict)
    classifiers: Mapping[str, Callable[..., keras.Model]] = dataclasses.field(default_factory=dict)
    classifier_epochs: Mapping[str, int] = dataclasses.field(default_factory=dict)


# Half of its features are dropped while it learns: on 8,000 images of SVHN, 15 epochs come to 0.82 on others and 40 to 0.87.
SVHN_EPOCHS = 40

MODELS = {
    "mmjsd": ModelEntry(MMJSD, {"prior_weight": "prior_weight"}),
    "mmvae": ModelEntry(MMVAE),
    "mvae": ModelEntry(MVAE, {"random_subsets": "mvae_subsets"}),
}

DATASETS = {
    "digits": DatasetEntry(
        lambda config: digits.load(
            config.pairings or 20, config.data_seed, fraction=config.data_fraction, unpaired=config.unpaired_pools
        ),
        {"digit": mnist, "scene": svhn, "word": text},
        {"digit": classifiers.mnist, "scene": classifiers.svhn, "word": classifiers.text},
    ),
    "mnist_svhn_text": DatasetEntry(
        mnist_svhn.load_with_text,
        {"mnist": mnist, "svhn": svhn, "text": text},
        {"mnist": classifiers.mnist, "svhn": classifiers.svhn, "text": classifiers.text},
        {"svhn": SVHN_EPOCHS},
    ),
    "mnist_svhn": DatasetEntry(
        mnist_svhn.load,
        {"mnist": mnist, "svhn": svhn},
        {"mnist": classifiers.mnist, "svhn": classifiers.svhn},
        {"svhn": SVHN_EPOCHS},
    ),
    "multimnist": DatasetEntry(
        multimnist.load,
        {multimnist.name(degrees): mnist for degrees in multimnist.ROTATIONS},
        {multimnist.name(degrees): classifiers.mnist for degrees in multimnist.ROTATIONS},
    ),
    "celeba": DatasetEntry(
        celeba.load,
        {"image": celeba_image, "text": celeba_text},
        {"image": celeba_classifiers.image, "text": celeba_classifiers.text},
    ),
    "cub": DatasetEntry(lambda config: cub.load(config, config.features_dir)),
    "arrays": DatasetEntry(arrays.load),
}


def check_names(config: Config) -> None:
    """Raises UserError where the model or the data set does not exist."""
    _look_up(MODELS, config.model.model, "model")
    _look_up(DATASETS, config.data.dataset, "dataset")


def load_data(config: DataConfig) -> MultimodalData:
    """The data set that the config names."""
    return _look_up(DATASETS, config.dataset, "dataset").load(config)


def networks_of(dataset: str, modality: Modality) -> ModuleType:
    """The module with `encoder` and `decoder` for a modality of a data set."""
    return _look_up(DATASETS, dataset, "dataset").networks.get(modality.name) or default.networks_of(modality)


def classifier_of(dataset: str, modality: Modality) -> Callable[..., keras.Model]:
    """What builds the modality's coherence classifier: `(modality, num_classes, seed=)` -> model that returns logits."""
    own = _look_up(DATASETS, dataset, "dataset").classifiers.get(modality.name)
    return own or default.networks_of(modality).classifier


def classifier_epochs(dataset: str, modality: str) -> int | None:
    """Epochs of the modality's classifier; None for the usual number."""
    return _look_up(DATASETS, dataset, "dataset").classifier_epochs.get(modality)


def configure(modalities: Sequence[Modality], config: ModelConfig) -> tuple[Modality, ...]:
    """The data set's modalities with the config's private size and weights.

    Raises:
      UserError: a weight for a modality that does not exist.
    """
    names = tuple(m.name for m in modalities)
    likelihood = named_numbers(config.likelihood_weights, "likelihood_weights", names)
    private = named_numbers(config.private_weights, "private_weights", names)
    return tuple(
        dataclasses.replace(
            m,
            private_dim=config.private_dim,
            private_weight=private.get(m.name, m.private_weight),
            likelihood_weight=likelihood.get(m.name, m.likelihood_weight),
        )
        for m in modalities
    )


def build_model(config: Config, modalities: Sequence[Modality]) -> MultimodalVAE:
    """The model of a config, with fresh weights, every variable made.

    Args:
      modalities: with their private sizes and weights, as `configure` returns them and the run directory keeps them.

    Raises:
      UserError: an unknown name, or sizes that do not fit together.
    """
    entry = _look_up(MODELS, config.model.model, "model")
    networks = {m.name: networks_of(config.data.dataset, m) for m in modalities}
    options = {argument: getattr(config.model, field) for argument, field in entry.options.items()}
    seeds = {part: derived_seed(config.train.seed, part) for part in ("encoders", "decoders")}
    try:
        return entry.build(
            modalities,
            {m.name: networks[m.name].encoder(m, seed=derived_seed(seeds["encoders"], m.name)) for m in modalities},
            {
                m.name: networks[m.name].decoder(
                    m, m.private_dim + config.model.shared_dim, seed=derived_seed(seeds["decoders"], m.name)
                )
                for m in modalities
            },
            shared_dim=config.model.shared_dim,
            betas=_betas(config.model),
            seed=config.train.seed,
            name=config.model.model,
            **options,
        )
    except ValueError as error:
        raise UserError(str(error)) from error


def _betas(config: ModelConfig) -> Betas:
    return Betas(**{f.name: getattr(config, f.name) for f in dataclasses.fields(Betas)})


def _look_up(table: Mapping, name: str, kind: str):
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UserError(f"Unknown --{kind}={name!r}; there are: {', '.join(sorted(table))}.{hint}")
