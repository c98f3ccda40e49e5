"""Run commands: keep libraries quiet, and show mistakes of the user's as a sentence instead of a traceback."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Callable, Sequence

from absl import app
from absl import logging as absl_logging

from mmtf.errors import UserError


def load_tensorflow() -> None:
    """Import TensorFlow and find the devices without its start-up messages about absent GPUs and processor features.

    They are written by C++ to the file descriptor, before any logging level applies. If loading fails, they are shown.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        except BaseException:
            held.seek(0)
            os.write(original, held.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)
    # TensorFlow logs its own business through absl; ours goes through the standard library's loggers.
    absl_logging.set_verbosity(absl_logging.WARNING)
    logging.getLogger("mmtf").setLevel(logging.INFO)


def refuse_arguments(argv: Sequence[str]) -> None:
    """Raise UserError for words that are no flags: `beta=2` for `--beta=2` would otherwise be ignored."""
    if len(argv) > 1:
        raise UserError(f"{argv[1]!r} is not a flag; flags start with --, as in --model=mmjsd.")


def run(main: Callable) -> None:
    """`app.run`, with a UserError printed to stderr and exit status 2."""

    def guarded(argv):
        try:
            main(argv)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever reads, such as `head`, has seen enough. Python would complain of the rest at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except UserError as error:
            sys.stderr.write(f"error: {error}\n")
            sys.exit(2)

    app.run(guarded)
