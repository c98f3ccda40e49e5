"""A small adversarial model of the toys' modalities."""

import keras
import numpy as np
import toys

from mmtf.models.gan.mmali import MMALI
from mmtf.models.gan.mmali_joint import JointMMALI
from mmtf.networks.discriminators import PairDiscriminator, TowersDiscriminator, dense

SHARED, PRIVATE = 3, 2
EVERYTHING = {
    "unimodal_weight": 0.3,
    "reconstruction_weight": 0.5,
    "content_weight": 0.4,
    "style_weight": 0.2,
    "joint_reconstruction": True,
}
# Whose regularisers a test leaves out.
NO_REGULARISERS = {"reconstruction_weight": 0.0, "content_weight": 0.0, "style_weight": 0.0, "joint_reconstruction": False}
KINDS = {
    "classes": {"alignment_form": "classes"} | EVERYTHING,
    "binary": {"alignment_form": "binary", "unimodal_weight": 0.0, "reconstruction_weight": 0.5, "content_weight": 0.4},
    "joint": {"style_weight": 0.2},
}


def initializers(seed):
    while True:
        seed += 1
        yield keras.initializers.GlorotUniform(seed)


def encoder(modality):
    layer = keras.layers.Dense(6, "tanh", kernel_initializer=keras.initializers.GlorotUniform(1))
    parts = [keras.Input(modality.relaxed_shape), keras.layers.Flatten(), layer]
    return keras.Sequential(parts, name=f"{modality.name}_encoder")


def decoder(modality, codes):
    init = keras.initializers.GlorotUniform(2)
    size = int(np.prod(modality.relaxed_shape))
    last = keras.layers.Activation("softmax" if modality.num_classes else "linear")
    layers = [keras.layers.Dense(size, kernel_initializer=init), keras.layers.Reshape(modality.relaxed_shape), last]
    return keras.Sequential([keras.Input((codes,)), *layers], name=f"{modality.name}_decoder")


def discriminator(modality, codes, outputs, seed):
    init = initializers(seed)
    return PairDiscriminator(
        dense((5,), init), dense((4,), init), dense((6, outputs), init), value_shape=modality.relaxed_shape, code_dim=codes
    )


def towers(modalities, outputs, codes, seed):
    init = initializers(seed)
    return TowersDiscriminator(
        {m.name: dense((5, 4), init) for m in modalities},
        dense((6, outputs), init),
        value_shapes={m.name: m.relaxed_shape for m in modalities},
        code_tower=dense((4,), init) if codes else (),
        code_dim=codes,
    )


def model(kind="classes", count=3, seed=0, private=PRIVATE, **options):
    keras.utils.set_random_seed(seed)
    parts = toys.modalities(private, count)
    codes = SHARED + private
    given = [parts, {m.name: encoder(m) for m in parts}, {m.name: decoder(m, codes) for m in parts}]
    common = {"shared_dim": SHARED, "seed": seed, "average_start": 1, "average_decay": 0.75} | KINDS[kind] | options
    if kind == "joint":
        own = {"joint": towers(parts, count + 1, SHARED + count * private, 300)}
        return JointMMALI(*given, discriminators=own, **common)
    outputs = count + 1 if kind == "classes" else 1
    own = {"dependence": towers(parts, 1, 0, 100)}
    own |= {f"content.{m.name}": discriminator(m, codes, 1, 10 * k) for k, m in enumerate(parts)}
    own |= {f"alignment.{m.name}": discriminator(m, codes, outputs, 200 + 10 * k) for k, m in enumerate(parts)}
    return MMALI(*given, discriminators=own, **common)


def compiled(found, generators=0.1, discriminators=0.1):
    """The model with optimizers that add gradients up as they are, by these factors."""
    found.compile(optimizer=keras.optimizers.SGD(generators), discriminator_optimizer=keras.optimizers.SGD(discriminators))
    for name, variables in found.learned().items():
        getattr(found, name).build(variables)
    return found


def state(found):
    """Every weight of the model as it is now, by its name."""
    return {name: np.array(v) for name, v in found.named_weights().items()}


def moved(before, after):
    """Names of the weights that are not what they were."""
    return {name for name, x in before.items() if not np.array_equal(x, after[name])}


def values(n=8, turns=2, seed=0, count=3):
    """`[n, turns, ...]` per modality."""
    flat = toys.values(n * turns, seed, count)
    return {name: x.reshape(n, turns, *x.shape[1:]) for name, x in flat.items()}


def data(found, n=8, seed=0):
    """What a training step of the model takes."""
    batch = {"values": values(n, seed=seed, count=len(found.names))}
    return batch | ({"single": values(n, seed=seed + 1000, count=len(found.names))} if found.uses_unpaired_values() else {})
