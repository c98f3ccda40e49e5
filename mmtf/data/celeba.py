"""Bimodal CelebA, [S] C.4.1: a face, and a text that names its attributes.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mmtf import progress, text
from mmtf.config import DataConfig, declare
from mmtf.data import cache, celeba_files, files, pairing, tfds_source
from mmtf.data.celeba_files import ATTRIBUTES, SIZE, TEST, TRAIN, VALIDATION
from mmtf.data.dataset import MultimodalData, Split
from mmtf.data.entry import DatasetEntry
from mmtf.data.options import PhotographOptions
from mmtf.errors import UserError
from mmtf.modality import Modality, weighted_by_size
from mmtf.networks import celeba_classifiers, celeba_image, celeba_text


@declare
class Options(PhotographOptions):
    """Options of CelebA: those of every data set of photographs."""


log = logging.getLogger(__name__)

LENGTH, FILL = 256, "*"
OFFICIAL_COUNTS = (162_770, 19_962)
OFFICIAL_PARTITION, LOCAL_PARTITION = "list_eval_partition.txt", "list_local_partition.txt"
# A part of the cache's key: raise it when images are made in another way.
RECIPE = "1"
ENCODED_AT_ONCE = 4096
KEY_EXAMPLES = 32

MODALITIES = weighted_by_size(
    (
        Modality("image", (SIZE, SIZE, 3)),
        Modality("text", (LENGTH,), "categorical", num_classes=len(text.ALPHABET), alphabet=text.ALPHABET, fill=FILL),
    )
)


@dataclasses.dataclass(frozen=True)
class Part:
    """Images uint8 `[N, 64, 64, 3]`, and which attributes each one has, int8 `[N, 40]`."""

    images: np.ndarray
    present: np.ndarray


@dataclasses.dataclass(frozen=True)
class Source:
    """Both parts, the attributes' names in the order of `present`, and a sentence on where they came from, without paths."""

    train: Part
    test: Part
    names: tuple[str, ...]
    origin: str


def load(config: DataConfig) -> MultimodalData:
    """Bimodal CelebA [S]: from the original files in the data folder or in its `celeba`, else from TFDS `celeb_a`.

    The original files are `img_align_celeba`, a folder or a .zip; `list_attr_celeba.txt`; and a partition: the official
    `list_eval_partition.txt`, or `list_local_partition.txt` of the same form where the official one leaves the images that
    are there without a training or a test part. Images for validation are not used. Decoded images are cached.

    Returns:
      `image` uint8 `[64, 64, 3]`, the centre 148x148 of the aligned image resized, Laplace; `text` uint8 `[256]`, the names of
      the attributes that are there as `strings` writes them, '*' behind, categorical over 71 symbols. Labels int8 `[N, 40]`:
      which attributes are there. One text per image. Likelihood weights size(largest)/size, [S] C.4.2.

      Departures from the authors' release: it puts a text at a random start between the '*' (the paper only fills up), and
      measures on the validation part.

    Raises:
      UserError: files or TFDS data cannot be used, or an image is damaged and --skip_damaged was not given.
    """
    wanted = ["list_attr_celeba.txt", "img_align_celeba"]
    original = files.find(files.folder(config.data_dir), ("celeba", "CelebA"), wanted, ("", ".zip"))
    source = _from_files(*original, config) if original else _from_tfds(config)
    log.info("CelebA: %s%s", source.origin, f", from {original[0].parent}" if original else "")
    names = readable(source.names)
    rows = _kept_rows(len(source.train.images), config)
    return MultimodalData(
        name="celeba",
        modalities=MODALITIES,
        train=_split(source.train, names).at(rows),
        test=_split(source.test, names),
        class_names=names,
        sources={"celeba": source.origin},
        show={"text": without_filling},
    )


def without_filling(indices: np.ndarray) -> list[str]:
    """Return texts as people read them: without the '*' behind, as in [S] Table 12."""
    return [string.rstrip(FILL) for string in text.decode(indices)]


def readable(names: Sequence[str]) -> tuple[str, ...]:
    """Return attribute names in lower case with blanks.

    5_o_Clock_Shadow gets its apostrophe back, as [S] Table 12 prints it.
    """
    return tuple(name.replace("_o_Clock", "_o'clock").replace("_", " ").lower() for name in names)


def strings(present: np.ndarray, names: Sequence[str], length: int = LENGTH) -> list[str]:
    """Return the names of the attributes that are there, in order, separated by a comma and a blank ([S] C.4.1, Table 12).

    [S] says that 256 characters are the longest possible, but there are faces with more: their texts end after the last
    whole name that fits, as in the authors' release.

    Args:
      present: `[N, L]` of 0 and 1.
      names: L readable names.

    Returns:
      N strings of at most `length` characters.
    """
    fits = _ends(present, names) <= length
    return [", ".join(itertools.compress(names, row)) for row in present.astype(bool) & fits]


def _ends(present: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Where each name that is there ends in an uncut string, `[N, L]`."""
    separator = 2
    return np.cumsum(present * np.array([len(name) + separator for name in names]), axis=1) - separator


def _split(part: Part, names: Sequence[str]) -> Split:
    texts = strings(part.present, names)
    chunks = [texts[i : i + ENCODED_AT_ONCE] for i in range(0, len(texts), ENCODED_AT_ONCE)]
    encoded = np.concatenate([text.encode(chunk, LENGTH, fill=FILL).astype(np.uint8) for chunk in chunks])
    too_long = int(np.sum(_ends(part.present, names)[:, -1] > LENGTH))
    if too_long:
        log.info("CelebA: %s of %s texts are longer than %s and were cut.", too_long, len(texts), LENGTH)
    rows = np.arange(len(texts))
    return Split({"image": part.images, "text": encoded}, {"image": rows, "text": rows}, part.present)


def _kept_rows(count: int, config: DataConfig) -> np.ndarray:
    """Return rows of the share of the training examples that --data_fraction keeps. There are no classes: all are of one."""
    rng = np.random.default_rng([config.data_seed, 0])
    return pairing.keep_fraction(np.zeros(count, np.int64), config.data_fraction, rng)


def _from_files(attribute_path: Path, image_path: Path, config: DataConfig) -> Source:
    archive = image_path.with_name("img_align_celeba.zip")
    if image_path != archive and archive.exists():
        log.info("CelebA: images are read from the folder %s; %s beside it is not used.", image_path.name, archive.name)
    attributes = celeba_files.read_attributes(attribute_path)
    with celeba_files.open_images(image_path) as images:
        row = _listed(images, attributes, attribute_path, image_path)
        part, partition = _partition(attribute_path.parent, [attributes.images[i] for i in row])
        unused = int(np.sum(part == VALIDATION))
        # Training images first: each part is then a piece of one array. Those for validation are never decoded.
        row, part = (np.concatenate([x[part == TRAIN], x[part == TEST]]) for x in (row, part))
        decoded = _decoded(images, [attributes.images[i] for i in row], config.skip_damaged)
    row, part = (np.delete(x, decoded["damaged"]) for x in (row, part))
    halves = np.split(decoded["images"], [np.sum(part == TRAIN)])
    train, test = (Part(half, attributes.present[row[part == n]]) for half, n in zip(halves, (TRAIN, TEST), strict=True))
    notes = {"for validation are not used": unused, "left out as damaged": len(decoded["damaged"])}
    return Source(train, test, attributes.names, _origin(f"original files, parted by {partition}", train, test, notes))


def _listed(
    images: celeba_files.Images, attributes: celeba_files.Attributes, attribute_path: Path, image_path: Path
) -> np.ndarray:
    """Return rows of the attributes whose images are there, ascending int64.

    Every image must have one, but not the other way round:
    the original lists go with any part of the images."""
    unknown = sorted(set(images.stamps) - set(attributes.images))
    if unknown:
        raise UserError(
            f"{attribute_path} has no line for {len(unknown)} of the {len(images.stamps)} images in {image_path.name}, such as "
            f"{unknown[0]}; use the list that belongs to the images, or take these images away."
        )
    has_image = np.array([name in images.stamps for name in attributes.images])
    if not has_image.all():
        log.warning("CelebA: %s of the %s images listed are not in %s.", np.sum(~has_image), len(has_image), image_path.name)
    return np.flatnonzero(has_image)


def _decoded(images: celeba_files.Images, names: Sequence[str], skip_damaged: bool) -> dict[str, np.ndarray]:
    """`celeba_files.decode`, cached; a key is what the images depend on, whether damaged ones were left out or not."""
    listing = "\n".join(f"{name} {images.stamps[name]}" for name in names)
    path = cache.folder() / f"celeba-{cache.digest(RECIPE, listing)}.npz"
    decoded = cache.arrays(path, lambda: celeba_files.decode(images, names, skip_damaged), "CelebA's images")
    files.check_damaged("CelebA", [names[i] for i in decoded["damaged"]], skip_damaged)
    return decoded


def _partition(place: Path, names: Sequence[str]) -> tuple[np.ndarray, str]:
    """Return the part of each image, int64 `[N]`, and the file that says so: the first one by which both parts have images."""
    problem = f"{place} has no {OFFICIAL_PARTITION}"
    for file in (OFFICIAL_PARTITION, LOCAL_PARTITION):
        if not (place / file).exists():
            continue
        parts = celeba_files.read_partition(place / file)
        unknown = next((name for name in names if name not in parts), None)
        if unknown:
            raise UserError(f"{place / file} does not say to which part {unknown} belongs; add a line such as '{unknown} 0'.")
        part = np.array([parts[name] for name in names], np.int64)
        empty = [kind for kind, number in (("training", TRAIN), ("test", TEST)) if not (part == number).any()]
        if not empty:
            if file == LOCAL_PARTITION:
                log.warning("%s; %s is used. Results do not compare with those on the official parts.", problem, file)
            return part, file
        problem = f"By {place / file} none of the {len(names)} images that are there is a {' or a '.join(empty)} image"
    raise UserError(
        f"{problem}. Add more of the official images, or a file {LOCAL_PARTITION} with a line per image such as "
        f"'{names[0]} 0': 0 is training, 1 validation, 2 test."
    )


def _from_tfds(config: DataConfig) -> Source:
    train, test = (_tfds_part(split, config) for split in ("train", "test"))
    return Source(train, test, ATTRIBUTES, _origin("TFDS celeb_a", train, test, {}))


def _tfds_part(split: str, config: DataConfig) -> Part:
    # The key cannot be made of all examples without decoding them: the first ones stand for them.
    first = itertools.islice(tfds_source.examples("celeb_a", split, config), KEY_EXAMPLES)
    key = cache.digest(RECIPE, split, *(example["image"] for example in first))

    def build() -> dict[str, np.ndarray]:
        present = []

        def pictures():
            with progress.bar(None, "CelebA", "image") as bar:
                for example in tfds_source.examples("celeb_a", split, config):
                    present.append([example["attributes"][name] for name in ATTRIBUTES])
                    yield celeba_files.picture(Image.fromarray(example["image"]))
                    bar.update()

        images = np.fromiter(pictures(), np.dtype((np.uint8, MODALITIES[0].event_shape)))
        return {"images": images, "present": np.array(present, np.int8)}

    return Part(**cache.arrays(cache.folder() / f"celeba-tfds-{key}.npz", build, f"CelebA's {split} images from TFDS"))


def _origin(kind: str, train: Part, test: Part, notes: Mapping[str, int]) -> str:
    counts = len(train.images), len(test.images)
    if not all(counts):
        raise UserError("CelebA: no training or no test image is left, since all of them are damaged; copy them again.")
    origin = f"{kind}: {counts[0]:,} training and {counts[1]:,} test examples"
    origin += "".join(f"; {count:,} images {note}" for note, count in notes.items() if count)
    return origin if counts == OFFICIAL_COUNTS else origin + " (the whole set has {:,} and {:,})".format(*OFFICIAL_COUNTS)


CELEBA = DatasetEntry(
    load,
    licence=("CelebA (Liu et al. 2015): for non-commercial research.",),
    networks={"image": celeba_image, "text": celeba_text},
    classifiers={"image": celeba_classifiers.image, "text": celeba_classifiers.text},
    fills={"text": FILL},
)
