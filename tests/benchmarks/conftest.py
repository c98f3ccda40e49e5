"""The benchmark's modules belong to no package: their directory goes on the path, as it does when they run as scripts."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
