"""The benchmark's modules belong to no package: their directory goes on the path, as it does when they run as scripts."""

import sys

from checkout import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
