"""Which processor a benchmark is of, with all of its instructions or fewer, and what else it does meanwhile."""

from __future__ import annotations

import os
import time
from pathlib import Path

from mmtf import processor

# What keeps libraries from instructions beyond AVX2, as on most laptops: oneDNN, by which TensorFlow and PyTorch compute, and
# PyTorch's own kernels and MKL. It stands in for such a processor: caches, clock and units stay those of the one at hand.
WITHOUT_AVX512 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
STATISTICS = Path("/proc/stat")


def instructions() -> str:
    """Return the widest instructions for what the benchmark computes that the processor has and the environment allows."""
    best = processor.instructions() or "unknown"
    return f"AVX2, to which {best} was limited" if _limited() and best != "AVX2" else best


def multiplies_bfloat16() -> bool:
    return processor.multiplies_bfloat16() is not False and not _limited()


def _limited() -> bool:
    return all(os.environ.get(key) == value for key, value in WITHOUT_AVX512.items())


class Meanwhile:
    """Measures how busy others keep the processor, from now on."""

    def __init__(self):
        self._busy, self._start = _busy_seconds(), time.monotonic()

    def share(self, own: float) -> float | None:
        """Return the part of all cores' time that went to others, 0..1; None where the system does not tell.

        Args: own: CPU seconds of the benchmark since then.
        """
        if self._busy is None:
            return None
        total = (time.monotonic() - self._start) * os.cpu_count()
        return min(max((_busy_seconds() - self._busy - own) / total, 0.0), 1.0)


def _busy_seconds() -> float | None:
    if not STATISTICS.exists():
        return None
    user, nice, system, _, _, *others = map(int, STATISTICS.read_text(encoding="utf-8").split("\n", 1)[0].split()[1:9])
    return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK")
