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
    "jinja2>=3.1",
    "pillow",
    "h5py",
    "tqdm",
    "setuptools; python_version >= '3.12'",
]

# A user who has tables has pandas; nothing else needs it.
TABLES = ["pandas"]
# setuptools: makes the wheel that the tests install.
TEST = ["pytest>=8", "pytest-xdist", "hypothesis>=6", "ruff>=0.8", "setuptools>=64", "polars", "pyarrow", *TABLES]
# multivae wants a torchvision: pip takes that of the torch pinned here, and without the pin the newest of both.
BENCH = ["torch==2.13.0", "multivae==1.0.3"]
DOCS = ["mkdocs>=1.6", "mkdocstrings[python]"]

CLASSIFIERS = [
    "Development Status :: 4 - Beta",
    "Environment :: Console",
    "Intended Audience :: Developers",
    "Intended Audience :: Science/Research",
    "Operating System :: POSIX",
    "Programming Language :: Python :: 3",
    *(f"Programming Language :: Python :: 3.{minor}" for minor in (10, 11, 12, 13)),
    "Topic :: Scientific/Engineering :: Artificial Intelligence",
    "Topic :: Software Development :: Libraries :: Python Modules",
]
PAPERS = {
    "mmJSD (Sutter, Daunhawer, Vogt 2020)": "https://arxiv.org/abs/2006.08242",
    "MMALI (Chen, Zhu 2022)": "https://arxiv.org/abs/2112.10384",
}
# The flag files of configs/, as packages of their own inside mmtf: where each of them lies here.
CONFIGS = Path(__file__).with_name("configs")
FLAG_FILES = {"mmtf.configs": "configs"}
FLAG_FILES |= {f"mmtf.configs.{path.name}": f"configs/{path.name}" for path in sorted(CONFIGS.iterdir()) if path.is_dir()}

setup(
    name="mmtf",
    version=VERSION,
    description="Multimodal generative models in TensorFlow: mmJSD, MVAE, MMVAE and what they compare with",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    keywords="multimodal VAE, generative models, TensorFlow, Keras, missing modalities, cross-modal generation",
    classifiers=CLASSIFIERS,
    project_urls=PAPERS,
    packages=[*find_packages(include=["mmtf", "mmtf.*"]), *FLAG_FILES],
    package_dir=FLAG_FILES,
    package_data={"mmtf.report": ["paper_tables.json", "templates/*"]} | {name: ["*.cfg"] for name in FLAG_FILES},
    entry_points={"console_scripts": ["mmtf = mmtf.cli.main:main"]},
    python_requires=">=3.10",
    install_requires=REQUIRED,
    extras_require={"tables": TABLES, "test": TEST, "bench": BENCH, "docs": DOCS},
)
