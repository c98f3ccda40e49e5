"""The shared contract: what a modality is, and how sets of modalities are named.

An *example* is a dict of named values, one per modality. A *batch* adds a leading axis `[B]`. Beside the values stand an
optional boolean mask per modality (`True` where the value is there; `[B]`) and an optional integer label `[B]`:

    {"values": {"digit": [B, 28, 28, 1], "word": [B, 8]}, "mask": {"digit": [B], "word": [B]}, "label": [B]}

Pixels may be uint8 in 0..255 or float in 0..1; categorical values are integer class indices; counts are whole floats. Where a
modality has `missing_cells`, NaN (or the class -1) says that one cell of a value is missing. Values are in the user's units at
every door: what standardises them for the networks stands in the modality (`location`, `spread`) and is undone on the way out.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import dataclasses
import itertools
import keyword
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence

from mmtf.errors import UserError

LIKELIHOODS = ("laplace", "normal", "bernoulli", "categorical", "negative_binomial")
# Families of real values, whose location and scale can be in any unit.
LOCATED = ("laplace", "normal")
# How far floats of pixels may lie outside 0..1: decoders without a last sigmoid overshoot. -1..1 and 0..255 are other units.
OVERSHOOT = 0.5
# Beyond it a decoder's mean of counts is bounded, and so are counts themselves.
LARGEST_LOG_COUNT = 20.0

# Names of networks and of a served model's inputs are made of it.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
NAME_IN_WORDS = "a letter, then letters, digits and underscores, such as 'digit'; letters of a to z alone"
# Other inputs of served models, and what these call all modalities together; Python's name for an object in its own methods.
RESERVED = ("any", "n", "seed", "self")
# What a served model makes of a modality's name.
DERIVED = ("present_{}", "{}_raw")


@dataclasses.dataclass(frozen=True)
class Modality:
    """One kind of observation of a thing: an image, another image, a text.

    Attributes:
      name: what the modality is called in data, figures, flags and metrics.
      event_shape: shape of one value, without the batch: `(28, 28, 1)`, or `(8,)` for 8 characters.
      likelihood: distribution family of `p(x|s,c)`: one of `LIKELIHOODS`.
      likelihood_weight: `w_j` of [S] C.3.2, the factor on this modality's log-likelihood.
      private_dim: size of the modality-specific code `s_j`; 0 for none.
      private_weight: `beta_style_j` of [S] C.3.2, the factor on this modality's private divergence.
      scale: scale of the Laplace or normal likelihood, in units of `spread`. 0.75 is that of the authors' release of [S].
      num_classes: size of the alphabet of a categorical modality.
      alphabet: the characters that the classes of a text modality stand for, or None.
      location, spread: mean and standard deviation of the training values, one number for all cells or one for each place on
        the last axis; empty where values are used as they are. Of counts: those of log(1 + count). Encoders see
        `(x - location) / spread`, decoders answer in that unit, and the likelihood is of x in its own.
      columns: names of the places on the last axis, where values came as a table: verbs bring tables into their order.
      categories: by column, the names of its classes, in the order of the classes; verbs take names, too.
      fill: of a text, the character behind shorter ones.
      log_softmax_as_probabilities: whether what a categorical likelihood takes for probabilities are the logarithms of the
        softmax, scaled to sum to 1, as in the release of [S]: the likelier a class is by its logit, the less likely it is.
      missing_cells: whether single cells of a value may be missing: NaN, or the class -1.
      pixels: whether values are those of pictures, 0..1, for which a byte x stands as x / 255 (`has_pixels`). Bytes of all
        other modalities are the numbers that they are. None, where nobody said so: real values of three axes or more that have
        no `spread` are taken for pixels.
    """

    name: str
    event_shape: tuple[int, ...]
    likelihood: str = "laplace"
    likelihood_weight: float = 1.0
    private_dim: int = 0
    private_weight: float = 1.0
    scale: float = 0.75
    num_classes: int | None = None
    alphabet: str | None = None
    location: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()
    missing_cells: bool = False
    log_softmax_as_probabilities: bool = False
    pixels: bool | None = None
    columns: tuple[str, ...] = ()
    categories: tuple[tuple[str, ...], ...] = ()
    fill: str = " "

    def __post_init__(self):
        self._take_plain_numbers()
        if not (isinstance(self.name, str) and NAME.fullmatch(self.name)):
            raise ValueError(f"A modality's name must be {NAME_IN_WORDS}, not {self.name!r}.")
        if not self.event_shape or min(self.event_shape) < 1:
            raise ValueError(f"{self.name}: event_shape must be positive sizes such as (28, 28, 1), not {self.event_shape}.")
        if self.likelihood not in LIKELIHOODS:
            raise ValueError(f"{self.name}: likelihood must be one of {', '.join(LIKELIHOODS)}, not {self.likelihood!r}.")
        if (self.likelihood == "categorical") != (self.num_classes is not None):
            raise ValueError(f"{self.name}: num_classes is for a categorical likelihood, and required there.")
        if self.log_softmax_as_probabilities and self.likelihood != "categorical":
            raise ValueError(f"{self.name}: log_softmax_as_probabilities is for a categorical likelihood.")
        if self.alphabet is not None and len(self.alphabet) != self.num_classes:
            raise ValueError(
                f"{self.name}: the alphabet has {len(self.alphabet)} characters, but num_classes is {self.num_classes}."
            )
        for field in ("likelihood_weight", "private_weight", "scale"):
            if not (math.isfinite(getattr(self, field)) and getattr(self, field) > 0):
                raise ValueError(f"{self.name}: {field} must be a positive number, not {getattr(self, field)}.")
        if self.private_dim < 0:
            raise ValueError(f"{self.name}: private_dim must be 0 or more, not {self.private_dim}.")
        if self.pixels and (self.likelihood not in (*LOCATED, "bernoulli") or self.spread):
            raise ValueError(f"{self.name}: pixels are laplace, normal or bernoulli values in 0..1, and have no spread.")
        self._check_standardisation()
        self._check_names()

    def _take_plain_numbers(self) -> None:
        """Make Python's numbers of NumPy's and of others, which JSON would refuse; what is no number stays, to be refused."""
        for field in dataclasses.fields(self):
            value = plain(getattr(self, field.name))
            if field.name in ("location", "spread", "event_shape"):
                one = isinstance(value, int | float) and not isinstance(value, bool)
                value = (value,) if one else tuple(plain(x) for x in value)
                if field.name != "event_shape":
                    value = tuple(float(x) for x in value)
            elif field.name == "columns":
                value = tuple(map(str, value))
            elif field.name == "categories":
                value = tuple(tuple(map(str, names)) for names in value)
            object.__setattr__(self, field.name, value)

    def _check_standardisation(self):
        if not (self.location or self.spread):
            return
        if self.likelihood not in (*LOCATED, "negative_binomial"):
            raise ValueError(f"{self.name}: values of a {self.likelihood} likelihood have no location and spread.")
        for field, numbers in (("location", self.location), ("spread", self.spread)):
            if len(numbers) not in (1, self.event_shape[-1]):
                raise ValueError(f"{self.name}: {field} must be 1 or {self.event_shape[-1]} numbers, not {len(numbers)}.")
            if not all(math.isfinite(x) and (field == "location" or x > 0) for x in numbers):
                raise ValueError(f"{self.name}: {field} must be finite numbers, and a spread positive ones.")

    def _check_names(self):
        count = self.event_shape[-1]
        if self.columns and len(self.columns) != count:
            raise ValueError(f"{self.name}: {len(self.columns)} names of columns, but there are {count} columns.")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"{self.name}: two columns have one name.")
        if self.categories and (self.likelihood != "categorical" or len(self.categories) != count):
            raise ValueError(f"{self.name}: categories are for a categorical likelihood, names of the classes by column.")
        if len(self.fill) != 1:
            raise ValueError(f"{self.name}: fill must be one character, not {self.fill!r}.")

    @property
    def has_pixels(self) -> bool:
        """Whether values are pixels in 0..1, and bytes stand for them: in training, in every verb and in served models."""
        if self.pixels is not None:
            return self.pixels
        real = self.likelihood not in ("categorical", "negative_binomial")
        return real and len(self.event_shape) >= 3 and not self.spread

    @property
    def size(self) -> int:
        """Number of scalars (or characters) in one value."""
        return math.prod(self.event_shape)

    @property
    def parameter_shape(self) -> tuple[int, ...]:
        """Shape of what a decoder returns for one value: the likelihood's location, logits over the classes, or of each count
        the logarithms of its mean (in units of `spread` around `location`) and of its dispersion."""
        if self.likelihood == "negative_binomial":
            return (*self.event_shape, 2)
        return (*self.event_shape, self.num_classes) if self.num_classes else self.event_shape

    @property
    def relaxed_shape(self) -> tuple[int, ...]:
        """Shape of one value as adversarial models need it, of real numbers alone: of a class its one-hot code."""
        return (*self.event_shape, self.num_classes) if self.num_classes else self.event_shape

    @classmethod
    def from_json(cls, fields: Mapping) -> Modality:
        """Return the modality whose fields `dataclasses.asdict` gave and JSON kept.

        Raises TypeError, KeyError or ValueError.
        """
        return cls(**fields)


def plain(value):
    """Return a number or an array of NumPy or TensorFlow as Python's own, and a path as text; all else as it is."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    value = value.numpy() if hasattr(value, "numpy") else value
    return value.tolist() if hasattr(value, "tolist") else value


def check_names(names: Sequence[str]) -> None:
    """Refuse names that networks, runs or served models could not have: before any work, and not when it is done.

    Raises:
      UserError: a name that is not of `NAME`, that Python or a served model has for something else, or two names of which
        one is made of the other.
    """
    for name in names:
        if not (isinstance(name, str) and NAME.fullmatch(name)):
            raise UserError(f"A modality's name must be {NAME_IN_WORDS}, not {name!r}.")
        if keyword.iskeyword(name) or name in RESERVED:
            why = "a word of Python" if keyword.iskeyword(name) else "what a served model calls something else"
            raise UserError(f"A modality cannot be called {name!r}, which is {why}; rename it, to '{name}_values' for example.")
        for form in DERIVED:
            if form.format(name) in names:
                raise UserError(
                    f"The modalities {name!r} and {form.format(name)!r} cannot stand together: a served model would have two "
                    f"things called {form.format(name)!r}. Rename one of them."
                )


def weighted_by_size(modalities: Sequence[Modality]) -> tuple[Modality, ...]:
    """Return the modalities with likelihood weights size(largest) / size(own), [S] C.3.2."""
    largest = max(m.size for m in modalities)
    return tuple(dataclasses.replace(m, likelihood_weight=largest / m.size) for m in modalities)


def subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return all non-empty subsets, small ones first, each in the given order of names."""
    return [c for k in range(1, len(names) + 1) for c in itertools.combinations(names, k)]


def subset_key(subset: Iterable[str], names: Sequence[str]) -> str:
    """Return how a subset is written in metrics and figures: names in the data set's order, joined by commas."""
    chosen = check_subset(subset, names)
    return ",".join(chosen)


def check_subset(subset: Iterable[str], names: Sequence[str]) -> tuple[str, ...]:
    """Return the subset in the data set's order of names.

    Raises:
      UserError: the subset is empty, names an unknown modality, or names one twice.
    """
    asked = [subset] if isinstance(subset, str) else list(subset)
    unknown = [name for name in asked if name not in names]
    if unknown:
        raise UserError(f"Unknown modality {unknown[0]!r}; this model has: {', '.join(names)}.")
    if not asked:
        raise UserError(f"An empty subset of modalities was given; name at least one of: {', '.join(names)}.")
    if len(set(asked)) != len(asked):
        raise UserError(f"A modality is named twice in {asked}.")
    return tuple(name for name in names if name in asked)
