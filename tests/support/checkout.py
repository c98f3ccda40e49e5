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

from absl import flags
from absl import logging as absl_logging

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"


def environment(**variables):
    """The environment of a program of this checkout in a process of its own."""
    return os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""} | variables


def command(name, *arguments):
    """name: of a program below the root, for instance "scripts/train.py"."""
    return [sys.executable, str(ROOT / name), *map(str, arguments)]


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
    """A program in this process, its flags forgotten afterwards: its `returncode`, `stdout` and `stderr`, as of `run`."""
    before = set(flags.FLAGS)
    out, err, code, here = io.StringIO(), io.StringIO(), 0, os.getcwd()
    with mock.patch.dict(os.environ, variables), mock.patch.object(sys, "argv", command(name, *arguments)[1:]):
        os.chdir(cwd)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _logged_to(err):
                runpy.run_path(str(ROOT / name), run_name="__main__")
        except SystemExit as end:
            code = end.code
            if isinstance(code, str):
                err.write(f"{code}\n")
                code = 1
        finally:
            os.chdir(here)
            for flag in set(flags.FLAGS) - before:
                delattr(flags.FLAGS, flag)
            flags.FLAGS.unparse_flags()
    return types.SimpleNamespace(returncode=code or 0, stdout=out.getvalue(), stderr=err.getvalue())


@contextlib.contextmanager
def _logged_to(stream):
    """absl's handler writes there; the levels that the program sets, and its handlers, are undone."""
    root, ours, handler = logging.getLogger(), logging.getLogger("mmtf"), absl_logging.get_absl_handler()
    handlers, levels, verbosity = root.handlers[:], (root.level, ours.level), absl_logging.get_verbosity()
    old = handler.python_handler.setStream(stream)
    try:
        yield
    finally:
        handler.python_handler.setStream(old)
        absl_logging.set_verbosity(verbosity)
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        ours.setLevel(levels[1])
