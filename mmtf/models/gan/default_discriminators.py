"""Discriminators of a model that was given none, with seeds of their own."""

from __future__ import annotations

from collections.abc import Sequence

from mmtf.distributed.random import derived_seed
from mmtf.modality import Modality
from mmtf.models.default_networks import NetworksOf
from mmtf.networks import layers
from mmtf.networks.discriminators import PairDiscriminator, TowersDiscriminator, dense
from mmtf.networks.sizes import JointDiscriminatorSizes


def pair(modality: Modality, shared_dim: int, outputs: int, seed: int, networks_of: NetworksOf, part: str) -> PairDiscriminator:
    """Return a discriminator of one modality's values beside its codes [s, c].

    Args:
      part: what it is for, which its seed depends on.
    """
    own = derived_seed(derived_seed(seed, part), modality.name)
    return networks_of(modality).discriminator(modality, modality.private_dim + shared_dim, outputs, seed=own)


def towers(
    modalities: Sequence[Modality],
    outputs: int,
    code_dim: int,
    seed: int,
    networks_of: NetworksOf,
    sizes: JointDiscriminatorSizes,
    part: str,
) -> TowersDiscriminator:
    """Return a discriminator of all modalities, and of codes of that size beside them where it is not 0."""
    seeds = {name: derived_seed(derived_seed(seed, part), name) for name in (*(m.name for m in modalities), "/above")}
    init = layers.normal(seeds["/above"])
    own = {m.name: networks_of(m).tower(m, seed=seeds[m.name]) + dense(sizes.tower, init) for m in modalities}
    trunk = None if sizes.trunk is None else dense((*sizes.trunk, outputs), init)
    return TowersDiscriminator(
        own,
        trunk,
        value_shapes={m.name: m.relaxed_shape for m in modalities},
        code_tower=dense(sizes.code, init) if code_dim else (),
        code_dim=code_dim,
    )
