"""A whole experiment as one value: from flags, to and from config.json, and what must not be asked for together.

The fields are declared in `mmtf.config.schema`. `define_flags` makes their flags, `from_flags` reads them, and nothing below
the commands reads a flag again: the config travels as a value and as the JSON of the run directory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from absl import flags

from mmtf.config import options, plugins
from mmtf.config.names import DATASETS, MODELS
from mmtf.config.options import check_limits
from mmtf.config.schema import DataConfig, EvaluateConfig, ModelConfig, TrainConfig
from mmtf.errors import UserError

__all__ = [
    "Config",
    "DataConfig",
    "EvaluateConfig",
    "ModelConfig",
    "TrainConfig",
    "check_profile",
    "define_flags",
    "differences",
    "from_flags",
    "named_numbers",
    "profile_window",
    "read_flags",
    "shared_flags",
]


@dataclasses.dataclass(frozen=True)
class Config:
    """A whole experiment; `config.json` of a run directory."""

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)

    def __post_init__(self):
        check_limits(self.train)
        _check_contradictions(self)

    def to_json(self) -> dict:
        """Return nested dicts of plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, parts: Mapping, plugin: Path | None = None) -> Config:
        """Return the config of a config.json, whose plugin is loaded.

        Args:
          plugin: the copy of the plugin that is kept beside the file.

        Raises:
          UserError: a concern or field that this version does not know, or a value out of its limits.
        """
        concerns = {f.name: f.default_factory for f in dataclasses.fields(cls)}
        if not (isinstance(parts, Mapping) and all(isinstance(values, Mapping) for values in parts.values())):
            raise UserError("config.json must hold an object of objects: data, model and train, each with its fields.")
        plugins.load(str(parts.get("train", {}).get("plugin", "")), plugin)
        unknown = sorted(set(parts) - set(concerns))
        for name in set(parts) & set(concerns):
            table = TABLES.get(concerns[name])
            known = {f.name for f in dataclasses.fields(concerns[name])} if table is None else table.all_options()
            unknown += sorted(f"{name}.{key}" for key in set(parts[name]) - set(known))
        if unknown:
            raise UserError(
                f"config.json has {unknown[0]!r}, which this version of mmtf does not know; was it written by a newer one?"
            )
        # Other models' and data sets' options are in files from when all had all of them.
        values = {name: _own(concerns[name], fields) for name, fields in parts.items()}
        return cls(**{name: concerns[name](**fields) for name, fields in values.items()}).as_began(parts)

    def as_began(self, parts: Mapping) -> Config:
        """Return the config as a run began with whose config.json holds `parts`.

        An option that the file lacks, being younger, has its former value there; one that is given here stays.
        """
        found = self
        for concern in (c for c in dataclasses.fields(Config) if c.name in parts):
            for field in dataclasses.fields(getattr(self, concern.name)):
                own, former = getattr(found, concern.name), field.metadata.get("former")
                lacks = former is not None and field.name not in parts[concern.name]
                if lacks and getattr(own, field.name) == field.default:
                    # Refused where the option does nothing.
                    with contextlib.suppress(UserError):
                        found = dataclasses.replace(found, **{concern.name: dataclasses.replace(own, **{field.name: former})})
        return found


# What chooses among options of their own.
TABLES = {DataConfig: DATASETS, ModelConfig: MODELS}


def _own(concern: type, values: Mapping) -> dict:
    """Return the values that the chosen model or data set has. Raises UserError as `NameTable.own`."""
    if concern not in TABLES:
        return dict(values)
    kind = TABLES[concern].kind
    return TABLES[concern].own({kind: getattr(concern, kind)} | dict(values))


TRAINING = (DataConfig, ModelConfig, TrainConfig)


def define_flags(
    concerns: Sequence[type] = TRAINING, flag_values: flags.FlagValues = flags.FLAGS, *, leave_out: Collection[str] = ()
) -> list[str]:
    """Make one absl flag for each field of each dataclass, but for those left out; return their names.

    Those of `ModelConfig` and `DataConfig` are the options of all models and data sets.
    """
    names = []
    for concern in concerns:
        if concern in TABLES:
            fields = [field for name, field in TABLES[concern].all_options().items() if name not in leave_out]
            names += options.define_fields(fields, flag_values)
        else:
            names += options.define_flags([concern], flag_values, leave_out=leave_out)
    return names


def from_flags(flag_values: flags.FlagValues = flags.FLAGS) -> Config:
    """Return the config that the parsed flags describe.

    Raises:
      UserError: a value out of its limits, or flags that contradict one another.
    """
    return Config(*(read_flags(concern, flag_values) for concern in TRAINING))


def read_flags(concern: type, flag_values: flags.FlagValues = flags.FLAGS):
    """Return a dataclass with the values of its flags.

    Raises:
      UserError: a value out of its limits, or an option that the chosen model or data set does not have.
    """
    fields = TABLES[concern].all_options() if concern in TABLES else [f.name for f in dataclasses.fields(concern)]
    return concern(**_own(concern, {name: flag_values[name].value for name in fields}))


def differences(old: Config, new: Config, include: Callable[[dataclasses.Field], bool] = lambda field: True) -> list[str]:
    """Return sentences, one per field that differs: '--beta was 5.0 and is 1.0'."""
    sentences = []
    for before, after in zip((old.data, old.model, old.train), (new.data, new.model, new.train), strict=True):
        fields = {field.name: field for part in (before, after) for field in dataclasses.fields(part)}
        for name, field in fields.items():
            # What only one of two models has, the other has at its default, which does nothing.
            was, now = (getattr(part, name, field.default) for part in (before, after))
            if was != now and include(field):
                sentences.append(f"--{name} was {was!r} and is {now!r}")
    return sentences


# Where each worker of a run finds its files.
OF_A_MACHINE = ("data_dir", "features_dir", "download")


def shared_flags(config: Config) -> dict[str, object]:
    """Return what has to be the same on all workers of a run, by the names of the flags."""
    flat = {name: value for part in config.to_json().values() for name, value in part.items()}
    return {name: value for name, value in flat.items() if name not in OF_A_MACHINE}


def named_numbers(text: str, flag: str, names: tuple[str, ...]) -> dict[str, float]:
    """'word=5,digit=2' as a dict.

    Raises:
      UserError: not of that form, a number that is not positive, or a name that is not among `names`.
    """
    numbers = {}
    for part in filter(None, text.split(",")):
        name, _, number = (piece.strip() for piece in part.partition("="))
        try:
            numbers[name] = float(number)
        except ValueError:
            raise UserError(f"--{flag} wants name=number pairs such as '{names[0]}=2', not {part!r}.") from None
        if name not in names:
            raise UserError(f"--{flag} names {name!r}, but the modalities are {', '.join(names)}.")
        if not (numbers[name] > 0 and math.isfinite(numbers[name])):
            raise UserError(f"--{flag} wants positive numbers, not {part!r}.")
    return numbers


def profile_window(text: str) -> tuple[int, int] | None:
    """Return the steps of `--profile_steps=FIRST,LAST`; None for none.

    Raises:
      UserError: not two numbers in order, from 1 on.
    """
    if not text:
        return None
    first, _, last = (part.strip() for part in text.partition(","))
    if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise UserError(f"--profile_steps={text!r} wants the first and the last step to trace, such as 21,40; the first is 1.")
    return int(first), int(last)


def check_profile(config: TrainConfig, steps: float) -> None:
    """Raise UserError where `--profile_steps` means nothing, or ends after the last of so many steps."""
    window = profile_window(config.profile_steps)
    if window and window[1] > steps:
        raise UserError(f"--profile_steps={config.profile_steps} is beyond the {steps} steps of the run; choose earlier ones.")


def _check_contradictions(config: Config) -> None:
    if config.train.clock != "wall" and not config.train.max_seconds:
        raise UserError(f"--clock={config.train.clock} does nothing without --max_seconds; give both or neither.")
    check_profile(config.train, config.train.steps or math.inf)
    if config.train.steps and config.train.epochs != TrainConfig.epochs:
        raise UserError("--steps and --epochs both say how long to train; give one of them.")
    config.model.check(config.train)
