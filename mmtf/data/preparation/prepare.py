"""Prepare features of a data set's images and captions once before training, and keep them in a file. So far for CUB [C].

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmtf.config import DataConfig
from mmtf.config.options import check_limits, option
from mmtf.data import cache, cub, cub_files
from mmtf.errors import UserError

log = logging.getLogger(__name__)

# mmtf.data.preparation is imported inside the functions: flags are read before TensorFlow is loaded.
DATASETS = ("cub",)
PICTURE_SIZE = 64


@dataclasses.dataclass(frozen=True)
class PrepareConfig:
    """What features are made of, and how."""

    data_dir: str = option("", "Folder that holds text_c10 and CUB_200_2011, itself or in `cub`; by default MMTF_DATA_DIR.")
    download: bool = option(False, "Let Keras download ResNet-101's weights, and TFDS the images, where they are not there.")
    features_dir: str = option("", "Where the features are kept; by default MMTF_CACHE_DIR or ~/.cache/mmtf.")
    image_features: str = option(
        "resnet101",
        "Image features: of ResNet-101 as in [C], or of a small network trained here to tell the classes.",
        choices=tuple(cub.KINDS),
    )
    weights: str = option("", "File with ResNet-101's weights; by default the one that Keras downloaded.")
    class_epochs: int = option(60, "Passes over the training images of the small network.", low=1)
    caption_epochs: int = option(16, "Passes over the training captions of the autoencoder.", low=1)
    caption_min_count: int = option(5, "How often a word occurs in training captions to be in the vocabulary.", low=1)
    skip_damaged: bool = option(False, "Leave out images that cannot be read, instead of stopping.")
    seed: int = option(0, "Seed of weights, order and augmentation.", low=0)

    def __post_init__(self):
        check_limits(self)
        unused = "weights" if self.image_features == "classes" else "class_epochs"
        if getattr(self, unused) != self.__dataclass_fields__[unused].default:
            raise UserError(f"--{unused} does nothing for --image_features={self.image_features}; remove it.")


@dataclasses.dataclass(frozen=True)
class Images:
    """Images in the order of their names.

    Attributes:
      names, class_names: `[n]` strings. train: `[n]` bool.
      inputs: what the network sees, uint8 `[n, S, S, 3]`. pictures: what people see, uint8 `[n, 64, 64, 3]`.
      test_names: the names of all images of the test part, also of those that are not there.
      damaged: names of images that were left out.
    """

    names: np.ndarray
    class_names: np.ndarray
    train: np.ndarray
    inputs: np.ndarray
    pictures: np.ndarray
    test_names: frozenset[str]
    damaged: list[str]

    def at(self, rows: np.ndarray) -> Images:
        """Return those for which rows `[n]` is True."""
        if rows.all():
            return self
        arrays = {f: getattr(self, f)[rows] for f in ("names", "class_names", "train", "inputs", "pictures")}
        return dataclasses.replace(self, **arrays)


def prepare(config: PrepareConfig) -> tuple[Path, dict]:
    """Make the features of CUB, unless they are there already.

    Returns:
      The file, which `mmtf.data.cub.load` finds, and its record: settings, counts, and how good the features are.

    Raises:
      UserError: files, weights or folder cannot be used, before any long work; or features with other settings are there.
    """
    place = cub_files.folder(config.data_dir)
    path = cub.prepared_file(cache.folder(config.features_dir), cub.input_key(place), config.image_features)
    settings = _settings(config)
    _check_writable(path.parent)
    prepared = cache.arrays(path, lambda: _built(place, config, settings), f"{config.image_features} features of CUB")
    record = json.loads(str(prepared["record"]))
    other = [
        f"{name} {record['settings'].get(name)} instead of {value}"
        for name, value in settings.items()
        if record["settings"].get(name) != value
    ]
    if other:
        raise UserError(f"{path} was prepared otherwise: {', '.join(other)}. Give the same flags, or remove it first.")
    if not path.exists():
        raise UserError(f"The features could not be written to {path}; free some space, or name another --features_dir.")
    cub.check_damaged(record["damaged"], config.skip_damaged)
    return path, record


def summary(record: Mapping) -> str:
    """Return what was prepared, and how good it is, for people."""
    told = record["captions"]
    lines = [f"Image features: {cub.KINDS[record['settings']['image_features']]}; images from {record['origin']}."]
    if "class_accuracy" in record:
        lines.append(f"The network tells the class of {record['class_accuracy']:.1%} of the test images.")
    lines += [
        f"Captions: a vocabulary of {told['words']} words. Of the test captions, {told['token_accuracy']:.1%} of the words are",
        f"told from the feature and the words before, and {told['exact_sentences']:.1%} are rebuilt without a fault. Some:",
    ]
    for example in told["examples"]:
        lines += [f"  caption: {example['caption']}", f"  rebuilt: {example['rebuilt']}"]
    return "\n".join(lines)


def _settings(config: PrepareConfig) -> dict:
    """Return what the features depend on beside the files in the data folder."""
    settings = {name: getattr(config, name) for name in ("image_features", "caption_epochs", "caption_min_count", "seed")}
    if config.image_features == "classes":
        return settings | {"class_epochs": config.class_epochs}
    from mmtf.data.preparation import images

    return settings | {"weights": cache.digest(images.weights_file(config.weights, config.download))}


def _built(place: Path, config: PrepareConfig, settings: dict) -> dict[str, np.ndarray]:
    """Return all that the file holds."""
    from mmtf.data.preparation import images

    resnet = config.image_features == "resnet101"
    # First: a file that holds other weights is found before any long work.
    network = images.resnet101(images.weights_file(config.weights, config.download)) if resnet else None
    texts = cub_files.read_captions(cub_files.caption_files(place))
    by_name = _read_images(place, config, texts)
    paired = by_name.at(np.isin(by_name.names, list(texts)))
    _check_parts(paired)
    log.info("CUB: %d of %d images have captions, as %d have in all.", len(paired.names), len(by_name.names), len(texts))
    caption_arrays, caption_record = _captions(texts, paired, config)
    if resnet:
        image_features, image_record = images.resnet101_features(network, paired.inputs), {}
    else:
        image_features, image_record = _class_features(by_name, paired, config)
    classes, label = np.unique(paired.class_names, return_inverse=True)
    record = {
        "origin": "original files" if cub_files.has_images(place) else f"TFDS {cub_files.TFDS_NAME}",
        "settings": settings,
        "damaged": by_name.damaged,
        "captions": caption_record,
    }
    return {
        "image/features": image_features,
        "image/picture": paired.pictures,
        "image/name": paired.names,
        "image/train": paired.train,
        "image/label": label.astype(np.int64),
        "classes": classes,
        "record": np.array(json.dumps(record | image_record)),
        **caption_arrays,
    }


def _read_images(place: Path, config: PrepareConfig, captioned: Mapping) -> Images:
    """Return the images that are there; for ResNet-101, which learns nothing from others, those with captions."""
    from mmtf import progress
    from mmtf.data.preparation import images

    data = DataConfig(dataset="cub", data_dir=config.data_dir, download=config.download)
    resnet = config.image_features == "resnet101"
    rows, test_names, damaged = [], set(), []
    with progress.bar(None, "CUB", "image") as bar:
        for bird in cub_files.birds(place, data):
            if not bird.train:
                test_names.add(bird.name)
            if bird.picture is None or (resnet and bird.name not in captioned):
                continue
            picture = _picture(bird, config.skip_damaged)
            if picture is None:
                damaged.append(bird.name)
                continue
            seen = images.resnet_input(picture) if resnet else images.square(picture, images.CLASS_SIZE, bird.box)
            rows.append((bird.name, bird.class_name, bird.train, seen, images.square(picture, PICTURE_SIZE, bird.box)))
            bar.update()
    if not rows:
        raise UserError(f"No image of CUB in {place} can be used: {len(damaged)} are damaged, and no other has captions.")
    rows.sort(key=lambda row: row[0])
    *described, seen, pictures = (list(column) for column in zip(*rows, strict=True))
    rows.clear()
    arrays = [np.array(column) for column in described] + [_stacked(seen), _stacked(pictures)]
    return Images(*arrays, frozenset(test_names), sorted(damaged))


def _picture(bird: cub_files.Bird, skip_damaged: bool):
    """An RGB image, or None where it is damaged and may be left out."""
    try:
        return bird.picture()
    # PIL reports damage in a header as a SyntaxError.
    except (OSError, SyntaxError) as error:
        cub.check_damaged([bird.name], skip_damaged, str(error))
        return None


def _stacked(images: list[np.ndarray]) -> np.ndarray:
    """Return one array of them.

    The list is emptied as it fills: what ResNet-101 sees of the whole set is 1.8 GB, and need not be
    there twice."""
    stacked = np.empty((len(images), *images[0].shape), np.uint8)
    for place in reversed(range(len(images))):
        stacked[place] = images.pop()
    return stacked


def _check_parts(paired: Images) -> None:
    for part, count in (("training", paired.train.sum()), ("test", (~paired.train).sum())):
        if not count:
            raise UserError(
                f"None of the images of CUB that have captions is in the {part} part (by train_test_split.txt); add images or "
                "captions (text_c10/<class>/<image>.txt is for CUB_200_2011/images/<class>/<image>.jpg)."
            )


def _class_features(by_name: Images, paired: Images, config: PrepareConfig) -> tuple[np.ndarray, dict]:
    """Return features of the images with captions, and what to record of the network, which learns from all training images."""
    from mmtf.data.preparation import images

    classes, label = np.unique(by_name.class_names, return_inverse=True)
    train, test = np.flatnonzero(by_name.train), np.flatnonzero(~by_name.train)
    network = images.class_network(len(classes), seed=config.seed)
    images.train_classes(network, by_name.inputs[train], label[train], config.class_epochs, seed=config.seed)
    told = images.accuracy(network, by_name.inputs[test], label[test])
    log.info("CUB: the small network tells %.1f %% of the %d test images.", 100 * told, len(test))
    return images.class_features(network, paired.inputs), {"class_accuracy": told, "class_images": len(train)}


def _captions(texts: Mapping[str, Sequence[str]], paired: Images, config: PrepareConfig) -> tuple[dict, dict]:
    """Return features of the captions of the images, image by image, their decoder, and what to record of them.

    The autoencoder learns from all captions but those of the test part, with images or without.
    """
    from mmtf.data.preparation import captions

    said = {name: [captions.words(caption) for caption in of_image] for name, of_image in texts.items()}
    training = [words for name, of_image in said.items() if name not in paired.test_names for words in of_image]
    known = captions.vocabulary(training, config.caption_min_count)
    if len(known) <= 2:
        raise UserError(f"No word occurs {config.caption_min_count} times in training captions; lower --caption_min_count.")
    autoencoder = captions.Autoencoder(len(known), seed=config.seed)
    autoencoder.train(captions.indices(training, known), config.caption_epochs, seed=config.seed)
    image = np.repeat(np.arange(len(paired.names)), [len(said[name]) for name in paired.names])
    of_pairs = [words for name in paired.names for words in said[name]]
    indices, test = captions.indices(of_pairs, known), np.flatnonzero(~paired.train[image])
    features, weights = autoencoder.features(indices), autoencoder.decoder_weights()
    record = {
        "trained_on": len(training),
        "words": len(known) - 2,
        "token_accuracy": autoencoder.accuracy(indices[test]),
        **captions.report(cub.Sentences(weights, known), features[test], [of_pairs[row] for row in test]),
    }
    arrays = {"caption/features": features, "caption/image": image, "vocabulary": np.array(known)}
    return arrays | {f"decoder/{name}": weight for name, weight in weights.items()}, record


def _check_writable(folder: Path) -> None:
    """Raise UserError where files cannot be written, before any long work."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(f"Cannot write to {folder}: {error.strerror}. Name another --features_dir.") from error
