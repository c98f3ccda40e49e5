"""From a config to the parts of a model: networks with seeds of their own, discriminators, weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import ModuleType

import keras

from mmtf.config import Config, quirk_names
from mmtf.config.schema import UNIT_WEIGHTS
from mmtf.distributed.random import derived_seed
from mmtf.distributions.family import FAMILIES
from mmtf.modality import Modality
from mmtf.models.gan.base import AdversarialWeights
from mmtf.models.vae.contrastive import Contrast
from mmtf.models.vae.elbo import Betas
from mmtf.networks import layers
from mmtf.networks.discriminators import PairDiscriminator, TowersDiscriminator, dense

Networks = Mapping[str, ModuleType]

# Importance samples K of [Shi 2019] and [Shi 2021] as both papers compare with them.
SAMPLES = 30


@dataclasses.dataclass(frozen=True)
class JointDiscriminatorSizes:
    """Sizes of a discriminator of all modalities together, by default as [C]'s release has them for MNIST-SVHN.

    Attributes:
      tower: layers over those of each modality's own tower.
      trunk: hidden layers over all towers side by side; None for the inner products of the towers.
      code: layers of the codes' tower, of the joint discriminator.
    """

    tower: tuple[int, ...] = (256, 256)
    trunk: tuple[int, ...] | None = None
    code: tuple[int, ...] = (400, 256)


# Of [C]'s release for MultiMNIST, where several modalities' towers go through a trunk.
WITH_TRUNK = JointDiscriminatorSizes(tower=(256,), trunk=(1024, 1024))


def of_vae(config: Config, modalities: Sequence[Modality], networks: Networks, joint_sizes: JointDiscriminatorSizes) -> dict:
    """Arguments of a `MultimodalVAE`."""
    how = {"betas": _from_config(Betas, config.model), "contrast": _contrast(config), "microbatch": config.train.microbatch}
    return _coders(config, modalities, networks) | how


def of_weighted_vae(
    config: Config, modalities: Sequence[Modality], networks: Networks, joint_sizes: JointDiscriminatorSizes
) -> dict:
    """Arguments of a VAE whose bounds can be importance-weighted, as they are beside a contrast."""
    contrast = config.model.contrast != "none"
    samples = config.model.importance_samples or (SAMPLES if contrast else None)
    return of_vae(config, modalities, networks, joint_sizes) | {"samples": samples}


def of_mvae(config: Config, modalities: Sequence[Modality], networks: Networks, joint_sizes: JointDiscriminatorSizes) -> dict:
    """Arguments of `MVAE`."""
    unit_weights = UNIT_WEIGHTS in quirk_names(config.model)
    return of_weighted_vae(config, modalities, networks, joint_sizes) | {"unit_weights_of_single_bounds": unit_weights}


def of_importance_mmvae(
    config: Config, modalities: Sequence[Modality], networks: Networks, joint_sizes: JointDiscriminatorSizes
) -> dict:
    """Arguments of `ImportanceMMVAE`."""
    own = {"samples": config.model.importance_samples or SAMPLES, "family": FAMILIES[config.model.posterior_family]}
    return of_vae(config, modalities, networks, joint_sizes) | own


def of_jmvae(config: Config, modalities: Sequence[Modality], networks: Networks, joint_sizes: JointDiscriminatorSizes) -> dict:
    """Arguments of `JMVAE`."""
    parts = of_weighted_vae(config, modalities, networks, joint_sizes)
    return parts | {"joint_encoders": _encoders(config, modalities, networks, "joint")}


def of_mmali(config: Config, modalities: Sequence[Modality], networks: Networks, joint_sizes: JointDiscriminatorSizes) -> dict:
    """Arguments of `MMALI`."""
    classes = len(modalities) + 1 if config.model.alignment_form == "classes" else 1
    return _adversarial_parts(config, modalities, networks) | {
        "dependence": _towers_discriminator(config, modalities, networks, joint_sizes, 1, 0, "dependence"),
        "content": {m.name: _pair_discriminator(config, m, networks, 1, "content") for m in modalities},
        "alignment": {m.name: _pair_discriminator(config, m, networks, classes, "alignment") for m in modalities},
    }


def of_joint_mmali(
    config: Config, modalities: Sequence[Modality], networks: Networks, joint_sizes: JointDiscriminatorSizes
) -> dict:
    """Arguments of `JointMMALI`."""
    codes = config.model.shared_dim + sum(m.private_dim for m in modalities)
    sizes = joint_sizes if joint_sizes.trunk else WITH_TRUNK
    joint = _towers_discriminator(config, modalities, networks, sizes, len(modalities) + 1, codes, "joint")
    parts = _adversarial_parts(config, modalities, networks)
    return parts | {"joint": joint, "weights": dataclasses.replace(parts["weights"], unimodal=0.0)}


def _adversarial_parts(config: Config, modalities: Sequence[Modality], networks: Networks) -> dict:
    model = config.model
    weights = AdversarialWeights(
        unimodal=model.unimodal_weight,
        reconstruction=model.reconstruction_weight,
        content=model.content_weight,
        style=model.style_weight,
        joint_reconstruction=model.joint_reconstruction,
    )
    averages = {name: getattr(model, name) for name in ("average_decay", "average_start", "subset_posterior")}
    return _coders(config, modalities, networks) | {"weights": weights} | averages


def _contrast(config: Config) -> Contrast | None:
    model = config.model
    if model.contrast == "none":
        return None
    samples = model.importance_samples or SAMPLES
    return Contrast(model.contrast, model.contrast_gamma, model.contrast_negatives, samples, model.contrast_trains)


def _coders(config: Config, modalities: Sequence[Modality], networks: Networks) -> dict[str, dict[str, keras.Model]]:
    seed, shared = derived_seed(config.train.seed, "decoders"), config.model.shared_dim
    decoders = {
        m.name: networks[m.name].decoder(m, m.private_dim + shared, seed=derived_seed(seed, m.name)) for m in modalities
    }
    return {"encoders": _encoders(config, modalities, networks, "encoders"), "decoders": decoders}


def _encoders(config: Config, modalities: Sequence[Modality], networks: Networks, part: str) -> dict[str, keras.Model]:
    seed = derived_seed(config.train.seed, part)
    return {m.name: networks[m.name].encoder(m, seed=derived_seed(seed, m.name)) for m in modalities}


def _pair_discriminator(config: Config, modality: Modality, networks: Networks, outputs: int, part: str) -> PairDiscriminator:
    seed = derived_seed(derived_seed(config.train.seed, part), modality.name)
    return networks[modality.name].discriminator(modality, modality.private_dim + config.model.shared_dim, outputs, seed=seed)


def _towers_discriminator(
    config, modalities, networks, joint_sizes: JointDiscriminatorSizes, outputs: int, code_dim: int, part: str
) -> TowersDiscriminator:
    """Judges all modalities, and codes of that size beside them where it is not 0."""
    seeds = {name: derived_seed(derived_seed(config.train.seed, part), name) for name in (*networks, "/above")}
    init = layers.normal(seeds["/above"])
    towers = {m.name: networks[m.name].tower(m, seed=seeds[m.name]) + dense(joint_sizes.tower, init) for m in modalities}
    trunk = None if joint_sizes.trunk is None else dense((*joint_sizes.trunk, outputs), init)
    return TowersDiscriminator(
        towers,
        trunk,
        value_shapes={m.name: m.relaxed_shape for m in modalities},
        code_tower=dense(joint_sizes.code, init) if code_dim else (),
        code_dim=code_dim,
    )


def _from_config(kind: type, concern):
    """A dataclass whose fields are fields of a concern of the config."""
    return kind(**{f.name: getattr(concern, f.name) for f in dataclasses.fields(kind)})
