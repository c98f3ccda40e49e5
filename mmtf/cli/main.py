"""The `mmtf` command: `mmtf train --flagfile=digits/mmjsd.cfg --run_dir=runs/first`."""

from __future__ import annotations

import difflib
import importlib.util
import sys
import types
from collections.abc import Sequence

import mmtf
from mmtf.config import flag_files, plugins
from mmtf.errors import FOREIGN, UserError

COMMANDS = {
    "train": "Train a model, and leave it in a run directory.",
    "evaluate": "Evaluate a run, or samples that any program made.",
    "export": "Export a run as a SavedModel for serving.",
    "report": "Make the page of an evaluated run, or curves over several runs.",
    "compare": "Print evaluated runs side by side.",
    "sweep": "Train and evaluate a run for every combination of some flags' values.",
    "reproduce": "Hold runs beside the papers' tables.",
    "prepare": "Prepare the features that a data set is made of.",
    "list": "List models, data sets and flag files.",
}
WIDTH = max(map(len, COMMANDS)) + 2
USAGE = "\n".join(
    [
        "Multimodal generative models in TensorFlow.",
        "",
        "Usage: mmtf COMMAND [--flag=value ...]",
        "",
        *(f"  {name.ljust(WIDTH)}{text}" for name, text in COMMANDS.items()),
        "",
        "mmtf COMMAND --help shows a command's own flags, mmtf COMMAND --helpfull the hyper-parameters too.",
        "--flagfile takes a path, or the name of a file that mmtf brings, such as digits/mmjsd_ms.cfg.",
    ]
)


def main() -> None:
    """Run the subcommand that the command line names."""
    if "MMJSD" not in dir(mmtf):
        _refuse(FOREIGN)
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("--help", "-h", "help"):
        print(USAGE)
    elif name == "--version":
        print(f"mmtf {mmtf.__version__}")
    elif name in COMMANDS:
        run(name, arguments, program=f"mmtf {name}")
    else:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"Did you mean mmtf {near[0]}?" if near else f"There are: {', '.join(COMMANDS)}."
        _refuse(f"mmtf has no command {name!r}. {hint}")


def run(name: str, arguments: Sequence[str] | None = None, *, program: str | None = None) -> None:
    """Run a subcommand as a program of its own.

    Flag files are looked up and a plugin is loaded before flags are defined: a plugin's models have options, too.

    Args:
      arguments: its flags; by default those of this process.
      program: what it is called in its help; by default what this process is called.
    """
    try:
        given = flag_files.expanded(sys.argv[1:] if arguments is None else arguments)
        plugins.load(flag_files.value_of("plugin", given) or "")
    except UserError as error:
        _refuse(str(error))
    sys.argv = [program or sys.argv[0], *given]
    spec = importlib.util.find_spec(f"mmtf.cli.commands.{name}")
    # As the main module, whose flags absl shows for --help and whose docstring it prints.
    module = types.ModuleType("__main__")
    module.__file__ = spec.origin
    sys.modules["__main__"], before = module, sys.modules["__main__"]
    try:
        exec(spec.loader.get_code(spec.name), vars(module))
    finally:
        sys.modules["__main__"] = before


def _refuse(sentence: str) -> None:
    sys.stderr.write(f"error: {sentence}\n")
    sys.exit(2)
