"""Readers of CUB: the lists and images of CUB-200-2011, or TFDS `caltech_birds2011`, and the captions of Reed et al. (2016).

    CUB_200_2011/images.txt              1 001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg
    CUB_200_2011/image_class_labels.txt  1 1
    CUB_200_2011/train_test_split.txt    1 0          (1 is for training)
    CUB_200_2011/classes.txt             1 001.Black_footed_Albatross
    CUB_200_2011/bounding_boxes.txt      1 60.0 27.0 325.0 304.0      (left, upper, width, height in pixels; may be missing)
    CUB_200_2011/images/<class>/<image>.jpg
    text_c10/<class>/<image>.txt         ten captions, one a line

An image's name, "<class>/<image>" without a suffix, is what ties these together. Any part of images and captions will do.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image

from mmtf.config import DataConfig
from mmtf.data import cache, files, tfds_source
from mmtf.errors import UserError

log = logging.getLogger(__name__)

LISTS = ("images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt")
BOXES = "bounding_boxes.txt"
TFDS_NAME = "caltech_birds2011"
CAPTIONS = 10


@dataclasses.dataclass(frozen=True)
class Bird:
    """One image: its name, class, part, box (left, upper, width, height in pixels, or None), and how to get its pixels.

    `picture` returns an RGB image, and raises OSError or SyntaxError where the file is damaged; it is None where there is none.
    """

    name: str
    class_name: str
    train: bool
    box: tuple[float, ...] | None
    picture: Callable[[], Image.Image] | None


def folder(data_dir: str) -> Path:
    """Return the folder that holds `text_c10`: the one that `--data_dir` or MMTF_DATA_DIR names, or its `cub` or `CUB`.

    Raises:
      UserError: there is none.
    """
    root = files.folder(data_dir)
    places = files.find(root, ("cub", "CUB"), ["text_c10"])
    if not places:
        looked = f"{root} and its subfolder cub have none" if root else "no folder was named"
        raise UserError(
            f"CUB's captions are wanted as text_c10/<class>/<image>.txt, and {looked}; name the folder that holds text_c10, "
            "and CUB_200_2011 beside it, with --data_dir or MMTF_DATA_DIR."
        )
    return places[0].parent


def has_images(place: Path) -> bool:
    """Return whether the folder itself has images; where it has none, TFDS is asked for them."""
    return (place / "CUB_200_2011" / "images").is_dir()


def digest(place: Path) -> str:
    """SHA-256 over lists and captions, and names and sizes of the images: about 0.2 s for 3,000 images."""
    captions = caption_files(place)
    parts = [part for name, path in captions.items() for part in (name, path)]
    if not has_images(place):
        return cache.digest(f"tfds {TFDS_NAME}", *parts)
    images = _image_files(place)
    sizes = "\n".join(f"{name} {path.stat().st_size}" for name, path in sorted(images.items()))
    lists = [path for name in (*LISTS, BOXES) if (path := place / "CUB_200_2011" / name).exists()]
    return cache.digest(sizes, *lists, *parts)


def birds(place: Path, config: DataConfig) -> Iterator[Bird]:
    """Return all images that the lists name, in their order, those that are not there too; or those of TFDS, in its order.

    Raises:
      UserError: at the call, where a list is missing, malformed or contradicts another, or TFDS has no images.
    """
    if has_images(place):
        return iter(_from_files(place))
    log.info("CUB: there is no CUB_200_2011/images in %s; taking the images of TFDS %s.", place, TFDS_NAME)
    examples = {part: tfds_source.examples(TFDS_NAME, part, config) for part in ("train", "test")}
    return (_from_tfds(example, part == "train") for part, found in examples.items() for example in found)


def caption_files(place: Path) -> dict[str, Path]:
    """Return caption files by image name, in the order of the names. Raises UserError where there is none."""
    # Archives made on a Mac hold a second file for each one, which begins with a dot.
    by_image = {f"{p.parent.name}/{p.stem}": p for p in (place / "text_c10").glob("*/[!.]*.txt")}
    if not by_image:
        raise UserError(f"{place / 'text_c10'} holds no captions; wanted are files text_c10/<class>/<image>.txt in it.")
    return dict(sorted(by_image.items()))


def read_captions(paths: Mapping[str, Path]) -> dict[str, list[str]]:
    """Return the captions of each file, without empty lines; a file of other than ten is used as it is, with a warning.

    Raises:
      UserError: a file has none, or cannot be read.
    """
    by_image = {name: _read_captions(path) for name, path in paths.items()}
    other = [name for name, captions in by_image.items() if len(captions) != CAPTIONS]
    if other:
        log.warning(
            "CUB: %d of %d caption files have other than %d captions (%s has %d); they are used as they are.",
            *(len(other), len(by_image), CAPTIONS, paths[other[0]], len(by_image[other[0]])),
        )
    return by_image


def _read_captions(path: Path) -> list[str]:
    try:
        # As collected, the captions hold bytes of several encodings; what is no UTF-8 is no letter of a word.
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): copy it again.") from error
    captions = [line.strip() for line in lines if any(c.isalnum() for c in line)]
    if not captions:
        raise UserError(f"{path} holds no caption, where {CAPTIONS} were wanted, one a line; copy it again or remove it.")
    return captions


def _from_files(place: Path) -> list[Bird]:
    home = place / "CUB_200_2011"
    missing = [name for name in LISTS if not (home / name).is_file()]
    if missing:
        raise UserError(f"{home} has images, but no {' and no '.join(missing)}; add these lists of CUB-200-2011.")
    image, label, part, class_name = (_by_id(home / name, 1) for name in LISTS)
    boxes = _by_id(home / BOXES, 4) if (home / BOXES).is_file() else None
    images, birds = _image_files(place), []
    for number, (file,) in image.items():
        class_number = _row(home / LISTS[1], label, number)[0]
        birds.append(
            Bird(
                name=file.rpartition(".")[0],
                class_name=_row(home / LISTS[3], class_name, class_number)[0],
                train=_is_train(home / LISTS[2], part, number),
                box=boxes and _box(home / BOXES, boxes, number),
                picture=functools.partial(_opened, images[file]) if file in images else None,
            )
        )
    missing = sum(bird.picture is None for bird in birds)
    if missing == len(birds):
        raise UserError(f"{home / 'images'} holds none of the {len(birds)} images that images.txt names; copy them into it.")
    if missing:
        log.warning("CUB: %d of the %d images that images.txt names are not there.", missing, len(birds))
    return birds


def _image_files(place: Path) -> dict[str, Path]:
    """Return the images in the class folders, by "<class>/<image>.jpg"."""
    home = place / "CUB_200_2011" / "images"
    return {f"{path.parent.name}/{path.name}": path for path in home.glob("*/[!.]*.jpg")}


def _by_id(path: Path, fields: int) -> dict[str, Sequence[str]]:
    """Return the words behind the number at the start of each line, by that number."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as text ({error}): copy it again.") from error
    by_number = {}
    for place, line in enumerate(lines, 1):
        number, *words = line.split() or [""]
        if number in by_number or (number and (len(words) != fields or not number.isdecimal())):
            wanted = "a number of its own" + (" and a word" if fields == 1 else f" and {fields} numbers")
            raise UserError(f"{path}, line {place}: wanted {wanted}, not {line!r}; copy the file again.")
        if number:
            by_number[number] = words
    return by_number


def _row(path: Path, table: Mapping[str, Sequence[str]], number: str) -> Sequence[str]:
    if number not in table:
        raise UserError(f"{path} has no line for number {number}, which another list of CUB_200_2011 has; copy it again.")
    return table[number]


def _is_train(path: Path, part: Mapping[str, Sequence[str]], number: str) -> bool:
    value = _row(path, part, number)[0]
    if value not in ("0", "1"):
        raise UserError(f"{path}: wanted 1 (training) or 0 (test) for image {number}, not {value!r}.")
    return value == "1"


def _box(path: Path, boxes: Mapping[str, Sequence[str]], number: str) -> tuple[float, ...]:
    words = _row(path, boxes, number)
    try:
        left, upper, width, height = (float(word) for word in words)
    except ValueError:
        raise UserError(f"{path}: wanted four numbers for image {number}, not {' '.join(words)!r}.") from None
    if not (width > 0 and height > 0):
        raise UserError(f"{path}: the box of image {number} is {width}x{height} pixels; wanted positive sizes.")
    return left, upper, width, height


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _from_tfds(example: Mapping, train: bool) -> Bird:
    name = example["image/filename"].decode().removesuffix(".jpg")
    class_folder, _, file = name.rpartition("/")
    class_name = class_folder.rpartition("/")[2]
    height, width = example["image"].shape[:2]
    top, left, bottom, right = (float(edge) for edge in example["bbox"])
    box = (left * width, top * height, max((right - left) * width, 1), max((bottom - top) * height, 1))
    return Bird(f"{class_name}/{file}", class_name, train, box, lambda: Image.fromarray(example["image"]))
