"""CUB Image-Captions [C]: features of a bird's image and of a sentence about it, as `mmtf prepare cub` made them.

[S]: Sutter, Daunhawer, Vogt 2020. [C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.special import expit

from mmtf.config import DataConfig, declare, option
from mmtf.data import cache, cub_files, files, pairing
from mmtf.data.dataset import MultimodalData, Split
from mmtf.data.entry import DatasetEntry
from mmtf.data.options import PhotographOptions
from mmtf.errors import UserError
from mmtf.modality import Modality, weighted_by_size
from mmtf.networks.sizes import JointDiscriminatorSizes


@declare
class Options(PhotographOptions):
    """Options of CUB Image-Captions."""

    image_features: str = option(
        "auto",
        "cub: which prepared image features; auto takes resnet101 where there are any.",
        choices=("auto", "resnet101", "classes"),
    )
    features_dir: str = option(
        "", "cub: where prepared features are; by default MMTF_CACHE_DIR or ~/.cache/mmtf.", may_change=True
    )


log = logging.getLogger(__name__)

# Kinds of image features, in the order in which --image_features=auto looks for them.
KINDS = {
    "resnet101": "features of ResNet-101",
    "classes": "features of a small network trained here to tell the classes (a fallback, not what [C] has)",
}
WHOLE_SET = 11_788
COMMAND = "mmtf prepare cub --data_dir=FOLDER"
# A part of a prepared file's name: raise it when features are made in another way.
RECIPE = "1"
# A feature's spread is at least this part of the root mean square spread of its modality: one that is nearly always the same in
# training would otherwise outweigh all others where it differs once.
SPREAD_FLOOR = 0.1
# In the vocabulary of captions: the end of a sentence, also what comes before its first word, and a rare word.
END, UNKNOWN = 0, 1
MAX_WORDS = 40


def load(config: DataConfig, features_dir: str = "") -> MultimodalData:
    """Each image with each of its ten captions, in the official split by image, from the file that was prepared for them.

    Args:
      features_dir: the folder of prepared files; see `mmtf.data.cache.folder`.

    Returns:
      `image` float32 `[2048]` and `caption` float32 `[1024]`, normal, standardised by the training part. Labels are classes,
      of those that have pairs. The first caption of every image comes before the second ones. Likelihood weights
      size(largest)/size, [S] C.3.2. `show` gives for image features the picture of the nearest training image (Euclidean
      distance, as in [C]), uint8 `[64, 64, 3]`, and for caption features the sentence of the autoencoder's decoder.

    Raises:
      UserError: no features were prepared for the files in the data folder; or they are damaged; or damaged images were left
        out of them, and --skip_damaged was not given.
    """
    key = input_key(cub_files.folder(config.data_dir))
    prepared = _prepared(cache.folder(features_dir), key, config.image_features)
    record = json.loads(str(prepared["record"]))
    check_damaged(record["damaged"], config.skip_damaged)
    label, in_train = prepared["image/label"], prepared["image/train"]
    train, test = np.flatnonzero(in_train), np.flatnonzero(~in_train)
    kept = pairing.keep_fraction(label[train], config.data_fraction, np.random.default_rng([config.data_seed, 0]))
    part = _split(prepared, train[kept])
    sources = _sources(record, in_train, prepared["caption/image"])
    log.info("CUB: %s; %s", *sources.values())
    return MultimodalData(
        name="cub",
        modalities=weighted_by_size([_modality(name, pool) for name, pool in part.pools.items()]),
        train=part,
        test=_split(prepared, test),
        class_names=tuple(readable(name) for name in prepared["classes"]),
        sources=sources,
        show={
            "image": NearestPicture(prepared["image/features"][train], prepared["image/picture"][train]),
            "caption": Sentences(parts_of(prepared, "decoder"), prepared["vocabulary"]),
        },
    )


def input_key(place: Path) -> str:
    """Return what the names of prepared files hold: a digest of the data folder's files and of how features are made."""
    return cache.digest(RECIPE, cub_files.digest(place))[:20]


def prepared_file(folder: Path, key: str, kind: str) -> Path:
    """Return the file with one of the `KINDS` of image features, with the caption features and with their decoder."""
    return folder / f"cub-{kind}-{key}.npz"


def parts_of(prepared: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Return the arrays whose names begin with "<prefix>/", by the rest of their names."""
    return {name.partition("/")[2]: array for name, array in prepared.items() if name.startswith(f"{prefix}/")}


def check_damaged(names: Sequence[str], skip_damaged: bool, problem: str = "") -> None:
    """`files.check_damaged`, of images whose features have to be prepared again."""
    files.check_damaged("CUB", names, skip_damaged, problem, mended="copy it again and prepare CUB again")


def readable(class_name: str) -> str:
    """'001.Black_footed_Albatross' as 'Black footed Albatross'."""
    return class_name.rpartition(".")[2].replace("_", " ")


@dataclasses.dataclass(frozen=True)
class NearestPicture:
    """The pictures of the images whose features `[n, 2048]` are nearest, by Euclidean distance ([C])."""

    features: np.ndarray
    pictures: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """`[m, 2048]` -> `[m, 64, 64, 3]`."""
        # |x - f|^2 without |x|^2, which is the same for all f.
        distances = np.sum(self.features**2, axis=1) - 2 * np.asarray(values, np.float32) @ self.features.T
        return self.pictures[distances.argmin(axis=1)]


@dataclasses.dataclass(frozen=True)
class Sentences:
    """The LSTM decoder of `mmtf.data.preparation.captions.Autoencoder` in NumPy: the likeliest word at each step, up to 40.

    Attributes:
      weights: by layer and name, as `Autoencoder.decoder_weights` gives them.
      vocabulary: V words; the first two are no words.
    """

    weights: Mapping[str, np.ndarray]
    vocabulary: Sequence[str]

    def __call__(self, features: np.ndarray) -> list[str]:
        """Return sentences of features `[n, 1024]`, of words with a blank between them."""
        features = np.asarray(features, np.float32)
        parts = [features[start : start + 1000] for start in range(0, len(features), 1000)]
        return [sentence for part in parts for sentence in self._said(part)]

    def next_words(self, features: np.ndarray) -> np.ndarray:
        """Return places in the vocabulary, END from the end on: `[n, 40]`."""
        condition, hidden = self._dense("condition", features), np.tanh(self._dense("hidden", features))
        memory, word = self._dense("memory", features), np.full(len(features), END)
        said = []
        for _ in range(MAX_WORDS):
            inputs = np.concatenate([self.weights["words/embeddings"][word], condition], axis=1)
            hidden, memory = self._step(inputs, hidden, memory)
            scores = self._dense("next", hidden)
            scores[:, UNKNOWN] = -np.inf
            ended = (word == END) & bool(said)
            word = np.where(ended, END, scores.argmax(axis=1))
            said.append(word)
        return np.stack(said, axis=1)

    def _said(self, features: np.ndarray) -> list[str]:
        return [" ".join(self.vocabulary[place] for place in row if place != END) for row in self.next_words(features)]

    def _step(self, inputs, hidden, memory) -> tuple[np.ndarray, np.ndarray]:
        """Return one step of Keras' LSTM: hidden state and memory, `[n, units]` each."""
        kernel, recurrent, bias = (self.weights[f"lstm/{name}"] for name in ("kernel", "recurrent_kernel", "bias"))
        enter, forget, candidate, leave = np.split(inputs @ kernel + hidden @ recurrent + bias, 4, axis=1)
        memory = expit(forget) * memory + expit(enter) * np.tanh(candidate)
        return expit(leave) * np.tanh(memory), memory

    def _dense(self, layer: str, x: np.ndarray) -> np.ndarray:
        return x @ self.weights[f"{layer}/kernel"] + self.weights[f"{layer}/bias"]


def _prepared(folder: Path, key: str, asked: str) -> dict[str, np.ndarray]:
    """Return the arrays of the first kind asked for that was prepared."""
    kinds = KINDS if asked == "auto" else [asked]
    path = next((path for kind in kinds if (path := prepared_file(folder, key, kind)).exists()), None)
    wanted = "features" if asked == "auto" else f"{asked} features"
    if path is None:
        raise UserError(
            f"No {wanted} of CUB were prepared in {folder} for the files that are in the data folder now; run '{COMMAND}' "
            f"first (it takes minutes), or name the folder where they are with --features_dir."
        )

    def refuse():
        raise UserError(f"The prepared {wanted} of CUB in {path} are damaged; run '{COMMAND}' again, which makes them anew.")

    return cache.arrays(path, refuse, "CUB's features")


def _split(prepared: Mapping[str, np.ndarray], images: np.ndarray) -> Split:
    """Return the pairs of some images, given by ascending rows of what was prepared."""
    captions = np.flatnonzero(np.isin(prepared["caption/image"], images))
    image = np.searchsorted(images, prepared["caption/image"][captions])
    # Captions are in the order of their images: which caption of its image each one is.
    turn = np.arange(len(image)) - np.searchsorted(image, image)
    order = np.lexsort((image, turn))
    pools = {"image": prepared["image/features"][images], "caption": prepared["caption/features"][captions]}
    return Split(pools, {"image": image[order], "caption": order}, prepared["image/label"][images][image[order]])


def _modality(name: str, values: np.ndarray) -> Modality:
    """A normal modality, standardised feature by feature."""
    location, spread = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    floor = SPREAD_FLOOR * np.sqrt(np.mean(spread**2))
    spread = np.maximum(spread, floor or 1.0)
    return Modality(name, values.shape[1:], "normal", location=tuple(location.tolist()), spread=tuple(spread.tolist()))


def _sources(record: Mapping, in_train: np.ndarray, image_of_caption: np.ndarray) -> dict[str, str]:
    """Return sentences without paths: of the images and of the captions."""
    count, train = len(in_train), int(in_train.sum())
    captions, of_train = len(image_of_caption), int(in_train[image_of_caption].sum())
    whole = f" (the whole set has {WHOLE_SET:,} images)" if count != WHOLE_SET else ""
    damaged = f"; {len(record['damaged'])} damaged images left out" if record["damaged"] else ""
    return {
        "image": f"{record['origin']}: {train:,} training and {count - train:,} test images with captions{whole}{damaged}; "
        f"{KINDS[record['settings']['image_features']]}",
        "caption": f"{of_train:,} training and {captions - of_train:,} test captions; features of a CNN-LSTM autoencoder "
        f"trained on {record['captions']['trained_on']:,} captions",
    }


CUB = DatasetEntry(
    lambda config: load(config, config.features_dir),
    licence=("CUB-200-2011 (Wah et al. 2011) and the captions of Reed et al. 2016: for non-commercial research.",),
    joint_sizes=JointDiscriminatorSizes(tower=(), trunk=(512, 512)),
)
