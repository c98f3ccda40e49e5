"""Installation of mmtf; every dependency that the project needs is named here and nowhere else."""

import re
from pathlib import Path

from setuptools import find_packages, setup

# The version stands in the package, where programs look for it.
VERSION = re.search(r'__version__ = "(.+)"', Path(__file__).with_name("mmtf").joinpath("__init__.py").read_text()).group(1)

# tf-keras: TensorFlow Probability 0.25 cannot be imported without it.
# tensorboard: TensorFlow 2.21 no longer brings it.
# setuptools: TensorFlow Probability imports distutils, which Python 3.12 and later only have through setuptools.
# importlib_resources: TensorFlow Datasets 4.9.10 imports it to download, but does not require it.
# pillow: reads photographs, also for scikit-learn its two samples (the backgrounds of `digits`).
REQUIRED = [
    "tensorflow>=2.20",
    "tensorflow-probability>=0.25",
    "tensorflow-serving-api>=2.20",
    "keras>=3.10",
    "tf-keras",
    "tensorboard",
    "tensorflow-datasets>=4.9",
    "importlib_resources",
    "scikit-learn>=1.4",
    "scipy",
    "threadpoolctl",
    "absl-py>=2",
    "matplotlib>=3.8",
    "pillow",
    "h5py",
    "tqdm",
    "setuptools; python_version >= '3.12'",
]

# pandas: tables of a user's own are tested with it; nothing else needs it.
TEST = ["pytest>=8", "pytest-xdist", "hypothesis>=6", "ruff>=0.8", "pandas"]
# multivae wants a torchvision: pip takes that of the torch pinned here, and without the pin the newest of both.
BENCH = ["torch==2.13.0", "multivae==1.0.3"]
DOCS = ["mkdocs>=1.6", "mkdocstrings[python]"]

setup(
    name="mmtf",
    version=VERSION,
    description="Multimodal generative models in TensorFlow: mmJSD, MVAE, MMVAE and what they compare with",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["mmtf", "mmtf.*"]),
    package_data={"mmtf.report": ["paper_tables.json"]},
    python_requires=">=3.10",
    install_requires=REQUIRED,
    extras_require={"test": TEST, "bench": BENCH, "docs": DOCS},
)
