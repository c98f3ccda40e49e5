"""Networks that a user brings, as JSON: what a run keeps of them, so that every later command builds them again."""

from __future__ import annotations

from collections.abc import Mapping

import keras

from mmtf.errors import UserError, first_line

Networks = Mapping[str, Mapping[str, keras.Model]]


def to_json(networks: Networks) -> dict:
    """Return the architectures of networks, by their part (such as "encoders") and modality, without weights.

    Raises:
      UserError: a network that Keras cannot write down.
    """
    return {part: {name: _config(part, name, network) for name, network in each.items()} for part, each in networks.items()}


def from_json(parts: Mapping) -> dict[str, dict[str, keras.Model]]:
    """Return the networks that `to_json` wrote down, with fresh weights.

    Raises:
      UserError: a layer of a class that this process does not know, or a damaged description.
    """
    return {part: {name: _network(part, name, config) for name, config in each.items()} for part, each in parts.items()}


def copied(networks: Networks) -> dict[str, dict[str, keras.Model]]:
    """Return the same networks with variables of their own, equal now and made in the present strategy's scope."""
    copies = from_json(to_json(networks))
    for part, each in networks.items():
        for name, network in each.items():
            copies[part][name].set_weights(network.get_weights())
    return copies


def _config(part: str, name: str, network: keras.Model) -> dict:
    try:
        return keras.saving.serialize_keras_object(network)
    except Exception as error:
        raise UserError(
            f"{part}[{name!r}] cannot be written down, so that no later command could build it again: {first_line(error)}. "
            "Give its layers get_config, or make it of Keras' own layers."
        ) from error


def _network(part: str, name: str, config: Mapping) -> keras.Model:
    try:
        return keras.saving.deserialize_keras_object(config)
    except Exception as error:
        raise UserError(
            f"{part}[{name!r}] was trained with a layer that this process does not know ({first_line(error)}). Import the "
            "module that defines it and registers it with keras.saving.register_keras_serializable, or pass the network again "
            f"as {part}={{{name!r}: ...}}."
        ) from error
