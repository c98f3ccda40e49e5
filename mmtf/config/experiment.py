"""A whole experiment as one value: from flags, to and from config.json, and what must not be asked for together.

The fields are declared in `mmtf.config.schema`. `define_flags` makes their flags, `from_flags` reads them, and nothing below
the scripts reads a flag again: the config travels as a value and as the JSON of the run directory.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping, Sequence

from absl import flags

from mmtf.config import options
from mmtf.config.options import check_limits, read_flags
from mmtf.config.schema import ADVERSARIAL, QUIRKS, SAMPLED, WEIGHTED, DataConfig, EvaluateConfig, ModelConfig, TrainConfig
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
    "quirk_names",
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
        for concern in (self.model, self.train):
            check_limits(concern)
        _check_contradictions(self)

    def to_json(self) -> dict:
        """Nested dicts of plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, parts: Mapping) -> Config:
        """The config of a config.json.

        Raises:
          UserError: a concern or field that this version does not know, or a value out of its limits.
        """
        concerns = {f.name: f.default_factory for f in dataclasses.fields(cls)}
        if not (isinstance(parts, Mapping) and all(isinstance(values, Mapping) for values in parts.values())):
            raise UserError("config.json must hold an object of objects: data, model and train, each with its fields.")
        unknown = sorted(set(parts) - set(concerns))
        for name, values in parts.items():
            known = {f.name for f in dataclasses.fields(concerns[name])} if name in concerns else set()
            unknown += sorted(f"{name}.{key}" for key in set(values) - known) if name in concerns else []
        if unknown:
            raise UserError(
                f"config.json has {unknown[0]!r}, which this version of mmtf does not know; was it written by a newer one?"
            )
        return cls(**{name: concerns[name](**values) for name, values in parts.items()})


TRAINING = (DataConfig, ModelConfig, TrainConfig)


def define_flags(
    concerns: Sequence[type] = TRAINING, flag_values: flags.FlagValues = flags.FLAGS, *, leave_out: Collection[str] = ()
) -> list[str]:
    """One absl flag for each field of each dataclass, but for those left out; their names."""
    return options.define_flags(concerns, flag_values, leave_out=leave_out)


def from_flags(flag_values: flags.FlagValues = flags.FLAGS) -> Config:
    """The config that the parsed flags describe.

    Raises:
      UserError: a value out of its limits, or flags that contradict one another.
    """
    return Config(*(read_flags(concern, flag_values) for concern in TRAINING))


def differences(old: Config, new: Config, include: Callable[[dataclasses.Field], bool] = lambda field: True) -> list[str]:
    """Sentences, one per field that differs: '--beta was 5.0 and is 1.0'."""
    found = []
    for before, after in zip((old.data, old.model, old.train), (new.data, new.model, new.train), strict=True):
        for field in dataclasses.fields(before):
            was, now = getattr(before, field.name), getattr(after, field.name)
            if was != now and include(field):
                found.append(f"--{field.name} was {was!r} and is {now!r}")
    return found


# Where each worker of a run finds its files.
OF_A_MACHINE = ("data_dir", "features_dir", "download")


def shared_flags(config: Config) -> dict[str, object]:
    """What has to be the same on all workers of a run, by the names of the flags."""
    flat = {name: value for part in config.to_json().values() for name, value in part.items()}
    return {name: value for name, value in flat.items() if name not in OF_A_MACHINE}


def quirk_names(config: ModelConfig) -> tuple[str, ...]:
    """The departures that a config names.

    Raises:
      UserError: there is none of that name, or the model does not have it.
    """
    names = tuple(name.strip() for name in config.quirks.split(",")) if config.quirks else ()
    for name in names:
        if name not in QUIRKS:
            raise UserError(f"--quirks names {name!r}, but there are {', '.join(QUIRKS)}.")
        if config.model not in QUIRKS[name]:
            raise UserError(
                f"--quirks={name} does nothing for --model={config.model}; it belongs to {', '.join(QUIRKS[name])}. Remove it."
            )
    return names


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
    """The steps of `--profile_steps=FIRST,LAST`; None for none.

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
    """Raises UserError where `--profile_steps` means nothing, or ends after the last of so many steps."""
    window = profile_window(config.profile_steps)
    if window and window[1] > steps:
        raise UserError(f"--profile_steps={config.profile_steps} is beyond the {steps} steps of the run; choose earlier ones.")


def _check_contradictions(config: Config) -> None:
    model = config.model
    if config.train.clock != "wall" and not config.train.max_seconds:
        raise UserError(f"--clock={config.train.clock} does nothing without --max_seconds; give both or neither.")
    check_profile(config.train, config.train.steps or math.inf)
    if config.train.steps and config.train.epochs != TrainConfig.epochs:
        raise UserError("--steps and --epochs both say how long to train; give one of them.")
    for concern, kind, chosen in ((model, "model", model.model), (config.data, "dataset", config.data.dataset)):
        for field in dataclasses.fields(concern):
            users = field.metadata[f"{kind}s"]
            if users and chosen not in users and getattr(concern, field.name) != field.default:
                raise UserError(
                    f"--{field.name} does nothing for --{kind}={chosen}; it belongs to {', '.join(users)}. Remove it."
                )
    starts = [f"--{name}" for name in ("beta_start", "private_beta_start", "alpha_start") if getattr(model, name) is not None]
    if bool(starts) != bool(model.warmup_steps):
        given, missing = (starts[0], "--warmup_steps") if starts else ("--warmup_steps", "--beta_start or --private_beta_start")
        raise UserError(f"{given} does nothing without {missing}; give both or neither.")
    if model.model in ADVERSARIAL:
        _check_adversarial(config)
    else:
        _check_contrast(config)
        quirk_names(model)
    if model.posterior_family != "normal" and model.model not in SAMPLED:
        raise UserError(
            f"--posterior_family={model.posterior_family} is not for --model={model.model}: products of experts and closed "
            f"divergences are of Gaussians. Set --posterior_family=normal, or take one of {', '.join(SAMPLED)}."
        )
    if not model.private_dim:
        for name in ("private_beta", "private_beta_start", "private_weights"):
            if getattr(model, name) != ModelConfig.__dataclass_fields__[name].default:
                raise UserError(f"--{name} does nothing with --private_dim=0; set --private_dim, or remove --{name}.")


def _check_contrast(config: Config) -> None:
    model = config.model
    if model.contrast == "none":
        for name in ("contrast_gamma", "contrast_negatives", "contrast_trains"):
            if getattr(model, name) != ModelConfig.__dataclass_fields__[name].default:
                raise UserError(f"--{name} does nothing without --contrast; set --contrast=iwae, or remove --{name}.")
        if model.importance_samples and model.model not in WEIGHTED:
            raise UserError(
                f"--importance_samples does nothing for --model={model.model} without --contrast; importance-weighted bounds "
                f"have {', '.join(WEIGHTED)}."
            )
        return
    flag = "microbatch" if config.train.microbatch else "batch_size"
    size = getattr(config.train, flag)
    if model.contrast_negatives >= size:
        raise UserError(
            f"--contrast_negatives={model.contrast_negatives} other examples must come from a batch, but --{flag} is {size}; "
            "lower the one or raise the other."
        )


def _check_adversarial(config: Config) -> None:
    model = config.model
    if config.train.microbatch:
        raise UserError(f"--microbatch does nothing for --model={model.model}, which is a game; remove it.")
    if config.train.validation_examples:
        raise UserError(
            f"--validation_examples does nothing for --model={model.model}: in a game a player's loss is low where the other "
            "is weak, and tells no checkpoint from another. Remove it; --coherence_every measures what a game has learned."
        )
    if not model.private_dim:
        raise UserError(f"--model={model.model} needs a private code for each modality; set --private_dim, such as 10.")
    if config.train.batch_size < 2:
        raise UserError(f"--batch_size=1 leaves --model={model.model} nothing to exchange between examples; [C] takes 64.")
    if model.joint_reconstruction and not (model.reconstruction_weight or model.content_weight):
        raise UserError("--joint_reconstruction does nothing without --reconstruction_weight or --content_weight; add one.")
