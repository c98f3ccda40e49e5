"""Tell what the processor can do, and have TensorFlow make use of it: before TensorFlow is imported.

oneDNN computes matrix products and convolutions in TensorFlow. TensorFlow turns it on by itself only on x86 processors with
AVX-512 and its like; on others TF_ENABLE_ONEDNN_OPTS=1 in the environment does, if it is there when TensorFlow is imported.
"""

from __future__ import annotations

import functools
import os
import platform
import sys
from pathlib import Path

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
# Linux alone says there what a processor has.
INFO = Path("/proc/cpuinfo")
# Flags there, the best first, and what a reader calls them.
INSTRUCTIONS = {
    "amx_bf16": "AMX with bfloat16",
    "avx512_bf16": "AVX-512 with bfloat16",
    "avx512f": "AVX-512",
    "avx2": "AVX2",
}
# A training step's time in bfloat16 over that in float32 where the processor has no instructions for bfloat16, by what it has.
# CPU time of mmJSD on the digits, batch 256, of an AMD EPYC that multiplies bfloat16, kept from it: with AVX-512 (oneDNN's
# instructions limited) 380 and 188 ms. For AVX2, TensorFlow's own kernels (oneDNN off) took 2286 ms in bfloat16, and oneDNN
# limited to AVX2 211 ms in float32; limited so it computes no bfloat16 there, and no processor without AVX-512 was to be had.
IN_BFLOAT16 = {"AVX-512": 2.0, "AVX2": 11.0}


def turn_on_onednn() -> bool:
    """Have TensorFlow compute with oneDNN on any x86 processor, unless the user's environment says otherwise.

    Returns whether that comes too late, because TensorFlow is imported already.
    """
    if ONEDNN in os.environ or platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    os.environ[ONEDNN] = "1"
    return "tensorflow" in sys.modules


def name() -> str | None:
    """Return what the processor is called; None where the system does not tell."""
    return _information().get("model name")


def instructions() -> str | None:
    """Return the widest instructions for matrix products that it has; None where the system does not tell."""
    flags = _information().get("flags", "").split()
    return next((name for flag, name in INSTRUCTIONS.items() if flag in flags), None)


def multiplies_bfloat16() -> bool | None:
    """Return whether it has instructions for products of bfloat16; None where the system does not tell."""
    known = instructions()
    return None if known is None else known not in IN_BFLOAT16


@functools.cache
def _information() -> dict[str, str]:
    """Return what the system says of the first core, by key."""
    try:
        lines = INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    first = lines[: lines.index("")] if "" in lines else lines
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first)}
