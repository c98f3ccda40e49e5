"""Cycle consistency of adversarial models: squared errors of values and codes that went there and back.

As in the release of [C]; the paper does not print them.

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import tensorflow as tf

from mmtf.distributions.gaussian import stddev
from mmtf.models import fusion
from mmtf.models.encoders import Coders, Codes
from mmtf.models.gan.losses import mean_squared_error
from mmtf.models.gan.tuples import Tuples


@dataclasses.dataclass(frozen=True)
class AdversarialWeights:
    """Weights in the generators' loss, as in [C]'s release.

    Attributes:
      unimodal: of the terms of single modalities (lambda_unimodal).
      reconstruction: of decode(encode(x)) against x (lambda_x).
      content, style: of encode(decode(z)) against z, shared and private codes (lambda_c, lambda_s).
      joint_reconstruction: rebuild x from the geometric mean of all encoders' shared codes, and c from that of all generated
        modalities, instead of each from its own.
    """

    unimodal: float = 0.1
    reconstruction: float = 0.0
    content: float = 0.0
    style: float = 0.0
    joint_reconstruction: bool = False


def terms(
    generators: Coders, weights: AdversarialWeights, real: Tuples, fake: Tuples, alone: Tuples, posteriors: Codes, noise
) -> dict[str, tf.Tensor]:
    """Return the weighted squared errors `[B]`, by the names that `names` lists.

    Args:
      alone: what each modality rebuilds by itself: single values, where there are any.
      posteriors: of the paired values, which rebuild one another.
    """
    errors = _of_values(generators, weights, real, alone, posteriors, noise) if weights.reconstruction else {}
    return errors | (_of_codes(generators, weights, fake, noise) if weights.content or weights.style else {})


def names(weights: AdversarialWeights, modalities: Sequence[str]) -> list[str]:
    """Return the names of the terms, in order."""
    kinds = {"reconstruction": weights.reconstruction, "content": weights.content, "style": weights.style}
    each = [f"generator/{kind}/{n}" for kind, weight in kinds.items() if weight for n in modalities]
    if weights.joint_reconstruction and weights.content:
        return ["generator/content"] + [name for name in each if not name.startswith("generator/content/")]
    return each


def sampled(gaussians: Mapping, noise, stream: str) -> dict[str, tf.Tensor]:
    """Return a reparameterised sample of each Gaussian, `[B, D]`."""
    return {n: q.loc + stddev(q) * noise.normal(f"{stream}/{n}", q.event_shape[0]) for n, q in gaussians.items()}


def _of_values(generators: Coders, weights: AdversarialWeights, real: Tuples, alone: Tuples, posteriors: Codes, noise):
    """weight * |decode(encode(x)) - x|^2."""
    source, shared = alone, alone.shared
    if weights.joint_reconstruction:
        source, shared = real, _joint(posteriors, noise, "rebuilt")
    rebuilt = {n: generators.decode(n, shared[n], source.private[n]) for n in source.x}
    return {
        f"generator/reconstruction/{n}": weights.reconstruction * mean_squared_error(x, source.x[n]) for n, x in rebuilt.items()
    }


def _of_codes(generators: Coders, weights: AdversarialWeights, fake: Tuples, noise) -> dict[str, tf.Tensor]:
    """weight * |encode(decode(z)) - z|^2, of shared and of private codes."""
    again, joint = generators.encode(fake.x), weights.joint_reconstruction
    private = sampled(again.private, noise, "again/private")
    shared = _joint(again, noise, "again") if joint else sampled(again.shared, noise, "again/shared")
    pairs = {f"generator/style/{n}": (weights.style, private[n], fake.private[n]) for n in fake.x}
    # Of all modalities together there is one shared code, and one error.
    for n in list(fake.x)[:1] if joint else fake.x:
        pairs["generator/content" if joint else f"generator/content/{n}"] = (weights.content, shared[n], fake.shared[n])
    return {name: weight * mean_squared_error(*both) for name, (weight, *both) in pairs.items() if weight}


def _joint(posteriors: Codes, noise, stream: str) -> dict[str, tf.Tensor]:
    """Return a sample of the geometric mean of all modalities' experts, the same for each."""
    ones = {n: tf.ones(tf.shape(q.loc)[:1]) for n, q in posteriors.shared.items()}
    q = fusion.geometric_posterior(posteriors.shared, ones)
    return dict.fromkeys(posteriors.shared, sampled({"all": q}, noise, f"{stream}/joint")["all"])
