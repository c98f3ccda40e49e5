"""MMALI: adversarially learned inference of several modalities, with factorized discriminators [C].

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import functools

import tensorflow as tf

from mmtf.config import TrainConfig, declare, option
from mmtf.errors import UserError
from mmtf.models.gan import losses
from mmtf.models.gan.base import AdversarialModel
from mmtf.models.gan.default_discriminators import pair, towers
from mmtf.models.gan.options import AdversarialOptions
from mmtf.models.gan.tuples import Tuples, block_size, exchanged
from mmtf.networks.discriminators import BoundPair


@declare
class Options(AdversarialOptions):
    """Options of MMALI."""

    unimodal_weight: float = option(0.1, "MMALI: weight of the unimodal terms, which needs no pairs; 0 for none.", low=0)
    alignment_form: str = option(
        "classes",
        "MMALI: discriminators of encoded and generated tuples, as in [C]'s release (classes) or in the paper (binary).",
        choices=("classes", "binary"),
    )
    unimodal_form: str = option(
        "classes",
        "MMALI: how single values take part in the alignment by classes. As in [C]'s release they are its first two kinds, and "
        "its losses are cross-entropies of all M+1 (classes); or they are told apart by their log-ratio alone (ratio).",
        choices=("classes", "ratio"),
        former="ratio",
    )

    def check(self, train: TrainConfig | None = None) -> None:
        """Raise UserError where the form of the unimodal terms does nothing."""
        super().check(train)
        if self.unimodal_form == "ratio" and (self.alignment_form == "binary" or not self.unimodal_weight):
            why = "--alignment_form=binary, which has no other form" if self.unimodal_weight else "--unimodal_weight=0"
            raise UserError(f"--unimodal_form=ratio does nothing with {why}; remove it.")


class MMALI(AdversarialModel):
    """[C] eq. 4, its discriminator put together from density ratios that are learned one by one (eq. 10).

    Networks: `dependence` a, real tuples against tuples of independent modalities; per modality `content` b_i, (x_i, s_i, c)
    from the encoder against the same with c from the prior; and per modality `alignment` d_i, (x_i, s_i, c) from the encoder
    against generated ones. b_i and d_i need no pairs.

    Alignment "classes" is the release's: M+1 classes, 0 encoded, 1 generated, then for each other modality j the tuples
    (x_i, s_i, c_j); d_i is the difference of the first two logits. "binary" is the paper's: one logit, two kinds.

    The unimodal terms are about single values. Unimodal "classes" is the release's: the first two of the M+1 kinds are made of
    single values and the others of pairs, and encoders and decoders minimise the same form as with all tuples. "ratio" is
    d_i alone, on both sides; at logits of 0 its gradient along d_i is M (M+1) / 2 times that of the classes.
    """

    Options = Options

    def __init__(self, *args, **kwargs):
        """Args: as `AdversarialModel`; discriminators are called "dependence", "content.NAME" and "alignment.NAME"."""
        super().__init__(*args, **kwargs)

    @property
    def with_classes(self) -> bool:
        """Whether the alignment's networks tell M+1 classes apart."""
        return self.options.alignment_form == "classes"

    @property
    def with_single_classes(self) -> bool:
        """Whether single values are the first two of these classes."""
        return self.with_classes and self.options.unimodal_form == "classes"

    def default_discriminators(self, seed, networks_of, sizes):
        modalities, shared_dim = tuple(self.modalities.values()), self.shared_dim
        outputs = {"content": 1, "alignment": len(modalities) + 1 if self.with_classes else 1}
        pairs = {
            f"{part}.{m.name}": functools.partial(pair, m, shared_dim, count, seed, networks_of, part)
            for part, count in outputs.items()
            for m in modalities
        }
        return {"dependence": lambda: towers(modalities, 1, 0, seed, networks_of, sizes, "dependence")} | pairs

    def terms_of(self, phase):
        names, single = tuple(self.modalities), bool(self.loss_weights.unimodal)
        kinds = [f"{kind}/{n}" for n in names for kind in ("content", "alignment")]
        apart = ("content",) if self.with_single_classes else ("content", "alignment")
        alone = [f"single_{kind}/{n}" for n in names for kind in apart if single]
        if phase == "discriminators":
            minimised = ["loss", "dependence", *kinds, *alone]
            return [f"discriminator/{name}" for name in minimised] + [f"accuracy/{name}" for name in ("dependence", *kinds)]
        minimised = ["loss", "joint", *(f"single/{n}" for n in names if single)]
        return [f"generator/{name}" for name in minimised] + ["accuracy/joint"] + self._reported_beside()

    def discriminator_terms(self, real, fake, single, single_fake, advance):
        terms = self._dependence_terms(real, advance)
        for name in self.names:
            terms |= self._content_terms(name, real, fake, single, single_fake, advance)
            terms |= self._alignment_terms(name, real, fake, single, single_fake, advance)
        return terms

    def generator_terms(self, real, fake, single, single_fake):
        logits, alignment = self.joint_logits(real, fake, single, single_fake)
        terms = {"generator/joint": losses.nonsaturating_losses(logits), "accuracy/joint": losses.class_accuracy(logits)}
        for name, kinds in alignment.items():
            if self.with_single_classes:
                loss = losses.nonsaturating_losses(kinds)
            else:
                # Of two kinds with the logits (d, 0), the form of the joint loss is the logistic loss with the kinds exchanged.
                encoded, generated = (self._log_ratio("alignment", x) for x in kinds[:2])
                loss = 2.0 * losses.ratio_logistic_losses(generated, encoded)
            terms[f"generator/single/{name}"] = self.loss_weights.unimodal * loss
        return terms

    def joint_logits(self, real: Tuples, fake: Tuples, single: Tuples | None, single_fake: Tuples | None):
        """The factorized discriminator's logits of all kinds of tuples, and what the unimodal terms are about.

        Returns:
          M+1 logits `[B, M+1]`, of real tuples with c from each encoder, and of generated ones; and per modality outputs of
          the alignment's network for encoded and generated single values, then for paired values with c from each other
          encoder: M+1 of `[B, M+1]` (binary: `[B, 1]`). Empty without single values.
        """
        reals, fakes = ([tuples for tuples in both if tuples] for both in ((real, single), (fake, single_fake)))
        content = {n: self._scores("content", n, [real], [fake])[0] for n in self.names}
        alignment, alone = {}, {}
        for place, n in enumerate(self.names):
            alignment[n], of_single = self._scores("alignment", n, reals, fakes)
            if of_single:
                others = [x for k, x in enumerate(alignment[n][: len(self.names)]) if k != place]
                alone[n] = [*of_single, *others]
        b = {n: [self._log_ratio("content", x) for x in kinds] for n, kinds in content.items()}
        d = {n: [self._log_ratio("alignment", x) for x in kinds] for n, kinds in alignment.items()}
        discriminator, count = self._bound("dependence", advance=False), len(self.names)
        a_real, a_fake = (
            discriminator.score({n: discriminator.features(n, x.x[n]) for n in self.names})[:, 0] for x in (real, fake)
        )
        logits = [
            losses.factorized_logits(a, [b[n][k] for n in self.names], [d[n][k] for n in self.names])
            for k, a in enumerate([a_real] * count + [a_fake])
        ]
        return logits, alone

    def _scores(self, part: str, name: str, real: list[Tuples], fake: list[Tuples]) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Outputs of b_j's or d_j's network for (x_j, s_j, c), in one pass over all codes beside the same values.

        Args:
          real, fake: the paired tuples, and behind them the single ones if there are any.

        Returns:
          Of the M+1 kinds of paired tuples, c from each encoder and then generated; of single tuples, encoded and generated.
        """
        discriminator = self._bound(f"{part}.{name}", advance=False)
        # Real values apart from generated ones: no gradient goes through their features.
        of_real, of_fake = (_features(discriminator, [tuples.x[name] for tuples in kind]) for kind in (real, fake))
        features = [of_real[0]] * len(self.names) + of_fake[:1] + of_real[1:] + of_fake[1:]
        codes = [real[0].codes(name, of) for of in self.names]
        codes += [tuples.codes(name) for tuples in (*fake[:1], *real[1:], *fake[1:])]
        scores = _scored(discriminator, features, codes)
        return scores[: len(self.names) + 1], scores[len(self.names) + 1 :]

    # ---- the discriminators' own losses ----------------------------------------------------------------------------

    def _dependence_terms(self, real: Tuples, advance: bool) -> dict[str, tf.Tensor]:
        """a: modalities as they came, against modalities of different examples."""
        discriminator, block = self._bound("dependence", advance), block_size(len(self.names))
        features = {n: discriminator.features(n, real.x[n]) for n in self.names}
        torn = {n: exchanged(h, shift, block) for shift, (n, h) in enumerate(features.items())}
        together, apart = tf.split(discriminator.score({n: tf.concat([features[n], torn[n]], 0) for n in self.names})[:, 0], 2)
        return {
            "discriminator/dependence": losses.ratio_logistic_losses(together, apart),
            "accuracy/dependence": losses.ratio_accuracy(together, apart),
        }

    def _content_terms(self, name, real, fake, single, single_fake, advance) -> dict[str, tf.Tensor]:
        """b_i: codes of this value, against its private code beside a shared one from the prior."""
        discriminator = self._bound(f"content.{name}", advance)
        kinds = [("", real, fake)] + ([] if single is None else [("single_", single, single_fake)])
        features, codes = [], []
        for of_value, (_, encoded, generated) in zip(
            _features(discriminator, [t.x[name] for _, t, _ in kinds]), kinds, strict=True
        ):
            # Other rows than those of the first batch, so that the two are independent.
            other, private = (exchanged(rows, 1, block_size(2)) for rows in (of_value, encoded.private[name]))
            features += [of_value, other]
            codes += [encoded.codes(name), tf.concat([private, generated.shared[name]], axis=-1)]
        logits = [x[:, 0] for x in _scored(discriminator, features, codes)]
        terms = {
            f"discriminator/{prefix}content/{name}": losses.ratio_logistic_losses(*logits[2 * k : 2 * k + 2])
            for k, (prefix, _, _) in enumerate(kinds)
        }
        return terms | {f"accuracy/content/{name}": losses.ratio_accuracy(*logits[:2])}

    def _alignment_terms(self, name, real, fake, single, single_fake, advance) -> dict[str, tf.Tensor]:
        """d_i: what the encoder makes of real values, against what the decoder makes of prior codes."""
        discriminator = self._bound(f"alignment.{name}", advance)
        others = [of for of in self.names if of != name] if self.with_classes else []
        if single is not None and self.with_single_classes:
            encoded, generated, apart = single, single_fake, []
        else:
            encoded, generated, apart = real, fake, [] if single is None else [single, single_fake]
        values = {id(tuples): tuples for tuples in (encoded, generated, *([real] if others else []), *apart)}
        features = dict(zip(values, _features(discriminator, [tuples.x[name] for tuples in values.values()]), strict=True))
        scored = [(encoded, name), (generated, name), *((real, of) for of in others), *((tuples, name) for tuples in apart)]
        logits = _scored(discriminator, [features[id(x)] for x, _ in scored], [x.codes(name, of) for x, of in scored])
        terms = self._alignment_loss(name, logits[: 2 + len(others)])
        if apart:
            alone = [self._log_ratio("alignment", x) for x in logits[-2:]]
            terms[f"discriminator/single_alignment/{name}"] = losses.ratio_logistic_losses(*alone)
        return terms

    def _alignment_loss(self, name: str, kinds: list[tf.Tensor]) -> dict[str, tf.Tensor]:
        if self.with_classes:
            loss, accuracy = losses.class_losses(kinds), losses.class_accuracy(kinds)
        else:
            ratios = [x[:, 0] for x in kinds]
            loss, accuracy = losses.ratio_logistic_losses(*ratios), losses.ratio_accuracy(*ratios)
        return {f"discriminator/alignment/{name}": loss, f"accuracy/alignment/{name}": accuracy}

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _bound(self, key: str, advance: bool):
        return self.discriminators[key].bind(advance)

    def _log_ratio(self, part: str, logits: tf.Tensor) -> tf.Tensor:
        """b_i or d_i `[B]` of a network's logits."""
        if part == "alignment" and self.with_classes:
            return logits[:, 0] - logits[:, 1]
        return logits[:, 0]


def _scored(discriminator: BoundPair, features: list[tf.Tensor], codes: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return logits of each batch of features beside each batch of codes, in one pass."""
    return tf.split(discriminator.score(tf.concat(features, 0), tf.concat(codes, 0)), len(codes))


def _features(discriminator: BoundPair, values: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return features of each batch of values, in one pass."""
    return tf.split(discriminator.features(tf.concat(values, 0)), len(values))
