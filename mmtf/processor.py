"""Have TensorFlow make use of the processor: before TensorFlow is imported.

oneDNN computes matrix products and convolutions in TensorFlow. TensorFlow turns it on by itself only on x86 processors with
AVX-512 and its like; on others TF_ENABLE_ONEDNN_OPTS=1 in the environment does, if it is there when TensorFlow is imported.
"""

from __future__ import annotations

import os
import platform
import sys

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"


def turn_on_onednn() -> bool:
    """Have TensorFlow compute with oneDNN on any x86 processor, unless the user's environment says otherwise.

    Returns whether that comes too late, because TensorFlow is imported already.
    """
    if ONEDNN in os.environ or platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    os.environ[ONEDNN] = "1"
    return "tensorflow" in sys.modules
