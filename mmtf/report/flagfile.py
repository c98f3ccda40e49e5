"""Flag files read without running anything: the config that one describes, how long it trains, and what its head says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from mmtf import config
from mmtf.config import Config, flag_files
from mmtf.errors import UserError


def read(path: Path, further: Sequence[str] = ()) -> Config:
    """Return the config of a flag file and of further flags, which override it as on the command line.

    Raises:
      UserError: there is no such file, a flag that mmtf train does not have, or a value that is refused.
    """
    return config_of([f"--flagfile={path}", *further], str(path))


def config_of(arguments: Sequence[str], where: str) -> Config:
    """Return the config of flags of mmtf train. Raises UserError as `parsed`, or for a value that is refused."""
    return config.from_flags(parsed(arguments, where))


def parsed(arguments: Sequence[str], where: str) -> flags.FlagValues:
    """Return the flags of training as these arguments set them.

    Args: where: what the message of an error names.

    Raises:
      UserError: an unknown flag, a value that cannot be read, or a word that is no flag.
    """
    values = flags.FlagValues()
    config.define_flags(flag_values=values)
    try:
        rest = values(["program", *flag_files.expanded(arguments)])[1:]
    except flags.Error as error:
        raise UserError(f"{where}: {error}") from error
    if rest:
        raise UserError(f"{where}: {rest[0]!r} is not a flag; flags start with --, as in --steps=20.")
    return values


def planned_steps(config: Config, examples: int | None) -> int | None:
    """Return how many steps a config trains for on so many training examples; None where that is not known.

    Epochs of an adversarial model are passes over its complete examples, and with --validation_examples all that share a
    value are held out: then only the run itself knows.
    """
    unknown = examples is None or config.model.needs_complete_examples or config.train.validation_examples
    if config.train.steps or unknown:
        return config.train.steps or None
    return config.train.epochs * (examples // config.train.batch_size)


def header(path: Path) -> str:
    """Return the comment at the start of a flag file, on one line.

    Raises:
      UserError: the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"Cannot read the flag file {path}: {error.strerror}.") from error
    return " ".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))


def cost(path: Path) -> str:
    """Return what the flag file's head says that training costs, up to the end of the sentence.

    `not estimated` if it says nothing.
    """
    match = re.search(r"Cost: (.+?)\.(?: |$)", header(path))
    return match[1] if match else "not estimated"
