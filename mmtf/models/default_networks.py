"""Networks of the modalities that come without: by their kind of values, or those of a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType

import keras

from mmtf.distributed.random import derived_seed
from mmtf.modality import Modality

# From a modality to the module with `encoder`, `decoder` and so on for its values.
NetworksOf = Callable[[Modality], ModuleType]


def encoders(
    modalities: Sequence[Modality],
    seed: int,
    networks_of: NetworksOf,
    given: Mapping[str, keras.Model] | None = None,
    part: str = "encoders",
) -> dict[str, keras.Model]:
    """Return an encoder for each modality: the given one, else one with a seed of its own.

    Raises:
      ValueError: an encoder for a modality that is not there.
    """
    own = derived_seed(seed, part)
    return _filled(modalities, given, part, lambda m: networks_of(m).encoder(m, seed=derived_seed(own, m.name)))


def decoders(
    modalities: Sequence[Modality],
    shared_dim: int,
    seed: int,
    networks_of: NetworksOf,
    given: Mapping[str, keras.Model] | None = None,
) -> dict[str, keras.Model]:
    """Return a decoder for each modality, of codes `[B, private_dim + shared_dim]`; as `encoders`."""
    own = derived_seed(seed, "decoders")

    def build(m: Modality) -> keras.Model:
        return networks_of(m).decoder(m, m.private_dim + shared_dim, seed=derived_seed(own, m.name))

    return _filled(modalities, given, "decoders", build)


def _filled(modalities, given, part: str, build: Callable[[Modality], keras.Model]) -> dict[str, keras.Model]:
    given, names = dict(given or {}), [m.name for m in modalities]
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise ValueError(f"{part} has a network for {unknown[0]!r}, but the modalities are {', '.join(names)}.")
    return {m.name: given[m.name] if m.name in given else build(m) for m in modalities}
