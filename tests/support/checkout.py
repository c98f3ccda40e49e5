"""This checkout: where its files are, and its programs as a user runs them."""

import contextlib
import io
import logging
import os
import runpy
import subprocess
import sys
import types
from pathlib import Path
from unittest import mock

from absl import app, flags
from absl import logging as absl_logging

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
# Of mmtf, all flags are defined from there.
DEFINES_FLAGS = "mmtf.config.options"
# The command, for `call` and `run`; what its own flags are defined by begins with the second.
MMTF, SUBCOMMAND = "mmtf/__main__.py", "mmtf "


def environment(**variables):
    """The environment of a program of this checkout in a process of its own."""
    return os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""} | variables


def command(name, *arguments):
    """name: of a program below the root, for instance "scripts/train.py"; or `MMTF`."""
    # As a module: its folder on the path would hide packages of the names of ours.
    program = ["-m", "mmtf"] if name == MMTF else [str(ROOT / name)]
    return [sys.executable, *program, *map(str, arguments)]


def run(name, *arguments, cwd=ROOT, timeout=None, **variables):
    """A program in a process of its own, which takes seconds to import TensorFlow: its `returncode`, `stdout` and `stderr`."""
    return subprocess.run(
        command(name, *arguments),
        cwd=cwd,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


def call(name, *arguments, cwd=ROOT, **variables):
    """A program in this process: its `returncode`, `stdout` and `stderr`, as of `run`.

    What it changes of the process is undone: flags, arguments, paths, the working directory, the environment and logging. What
    its own processes write is not in the answer, nor are Python's warnings, which pytest collects. An error that would end the
    program with a traceback is raised here.
    """
    argv = [str(ROOT / name), *map(str, arguments)]
    # As Python has it for a script, and PYTHONPATH after it.
    path = [*([] if name == MMTF else [str((ROOT / name).parent)]), str(ROOT), *sys.path]
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, variables),
        mock.patch.object(sys, "argv", argv),
        mock.patch.object(sys, "path", path),
        _at(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        _logged_to(err),
        _flags_of(argv[0]),
    ):
        status = _status(argv[0], err)
    return types.SimpleNamespace(returncode=status, stdout=out.getvalue(), stderr=err.getvalue())


def _status(path, err):
    """What a program ends with, as its process would."""
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return int(end.code or 0)
        err.write(f"{end.code}\n")
        return 1
    return 0


@contextlib.contextmanager
def _at(folder):
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _flags_of(path):
    """Flags that a program defines are forgotten, and those of libraries have their defaults afterwards."""
    # absl defines them once in a process: they must not be forgotten with the first program's.
    app.define_help_flags()
    ours = _flags_of_imported_programs()
    for _, flag in ours:
        delattr(flags.FLAGS, flag.name)
    before = set(flags.FLAGS)
    try:
        yield
    finally:
        for name in set(flags.FLAGS) - before:
            # A library that the program was the first to import keeps its own: it will not define them again.
            module = flags.FLAGS.find_module_defining_flag(name)
            if module in (path, DEFINES_FLAGS) or module.startswith(SUBCOMMAND):
                delattr(flags.FLAGS, name)
        for module, flag in ours:
            flags.FLAGS[flag.name] = flag
            flags.FLAGS.register_flag_by_module(module, flag)
        flags.FLAGS.unparse_flags()


def _flags_of_imported_programs():
    """Flags of this checkout's programs that a test has imported, with their modules: another program may define them too."""
    folders = tuple(str(ROOT / name) for name in ("scripts", "docs", "benchmarks"))
    own = {name for name, m in sys.modules.items() if (getattr(m, "__file__", None) or "").startswith(folders)}
    return [(name, flag) for name, found in flags.FLAGS.flags_by_module_dict().items() if name in own for flag in found]


@contextlib.contextmanager
def _logged_to(stream):
    """absl logs there, as it does to stderr in a process of its own; all levels and handlers are undone."""
    loggers = [logging.getLogger(name) for name in (None, "absl", "mmtf")]
    handlers, levels = loggers[0].handlers[:], [logger.level for logger in loggers]
    verbosity, python_handler = absl_logging.get_verbosity(), absl_logging.get_absl_handler().python_handler
    # absl's `run` does it for the first program of a process alone.
    absl_logging.use_absl_handler()
    before = python_handler.setStream(stream)
    try:
        yield
    finally:
        python_handler.setStream(before)
        absl_logging.set_verbosity(verbosity)
        loggers[0].handlers[:] = handlers
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
