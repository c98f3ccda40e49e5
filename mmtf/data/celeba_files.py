"""Readers of CelebA's original files, and the images as [S] C.4.1 uses them: a centre crop at 64x64.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
from PIL import Image

from mmtf import progress
from mmtf.data import files
from mmtf.errors import UserError

_NAMES = """
5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair Blurry
Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male
Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks
Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie
Young
"""
ATTRIBUTES = tuple(_NAMES.split())
TRAIN, VALIDATION, TEST = 0, 1, 2
FRAME = (178, 218)  # width and height of an aligned image
CROP, SIZE = 148, 64
# [S] does not say how its images were made smaller; its authors' release uses this.
RESAMPLING = Image.Resampling.BICUBIC
MAX_THREADS = 8


@dataclasses.dataclass(frozen=True)
class Attributes:
    """What `list_attr_celeba.txt` says: attribute names and image names in its order, and int8 `[N, 40]` of 0 and 1."""

    names: tuple[str, ...]
    images: tuple[str, ...]
    present: np.ndarray


@dataclasses.dataclass(frozen=True)
class Images:
    """Where JPEG files are: what changes when a file does, by its name; and a reader of one file's bytes."""

    stamps: Mapping[str, str]
    read: Callable[[str], bytes]


def read_attributes(path: Path) -> Attributes:
    """Read `list_attr_celeba.txt`: the number of images, 40 names, and per image its name and 40 values of 1 or -1.

    Raises:
      UserError: it is not such a file; the line is named.
    """
    lines = _lines(path)
    names = tuple(lines[1]) if len(lines) > 1 else ()
    if sorted(names) != sorted(ATTRIBUTES):
        wrong = sorted(set(names) ^ set(ATTRIBUTES))[:1] or ["a name twice"]
        raise UserError(
            f"{path}, line 2: wanted CelebA's 40 attribute names, 5_o_Clock_Shadow to Young, but {len(names)} are there "
            f"(see {wrong[0]}); use the original file."
        )
    rows = lines[2:]
    if lines[0] != [str(len(rows))]:
        raise UserError(
            f"{path}, line 1: it should say how many images follow, but says {' '.join(lines[0])!r} and {len(rows)} follow; "
            "the file may be cut short: copy it again."
        )
    for number, row in enumerate(rows, 3):
        if len(row) != 1 + len(names):
            raise UserError(f"{path}, line {number}: wanted an image name and 40 values, not {len(row)} words.")
    images = _distinct(path, [row[0] for row in rows], first_line=3)
    return Attributes(names, images, _ones(path, rows))


def read_partition(path: Path) -> dict[str, int]:
    """Read `list_eval_partition.txt`, or one of its form: per line an image name and 0, 1 or 2. By name, the number.

    Raises:
      UserError: it is not such a file; the line is named.
    """
    rows = _lines(path)
    for number, row in enumerate(rows, 1):
        if len(row) != 2 or row[1] not in ("0", "1", "2"):
            raise UserError(
                f"{path}, line {number}: wanted an image name and its part, 0 (training), 1 (validation) or 2 (test), "
                f"not {' '.join(row)[:60]!r}."
            )
    return dict(zip(_distinct(path, [row[0] for row in rows], first_line=1), (int(row[1]) for row in rows), strict=True))


@contextlib.contextmanager
def open_images(path: Path) -> Iterator[Images]:
    """The JPEG files of `img_align_celeba`: a folder, or a ZIP archive, which is read without being unpacked.

    Raises:
      UserError: there are none, or the archive cannot be read.
    """
    if path.is_dir():
        stats = {entry.name: entry.stat() for entry in os.scandir(path) if _is_jpeg(entry.name) and entry.is_file()}
        stamps = {name: f"{stat.st_size} {stat.st_mtime_ns}" for name, stat in stats.items()}
        _check_any(path, stamps)
        yield Images(stamps, lambda name: (path / name).read_bytes())
        return
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be read as a ZIP archive ({error}); it may be cut short: copy it again.") from error
    with archive:
        members = {Path(info.filename).name: info for info in archive.infolist() if _is_jpeg(Path(info.filename).name)}
        _check_any(path, members)
        stamps = {name: f"{info.file_size} {info.CRC}" for name, info in members.items()}
        yield Images(stamps, lambda name: archive.read(members[name]))


def decode(images: Images, names: Sequence[str], skip_damaged: bool) -> dict[str, np.ndarray]:
    """Decode, crop and resize images, with a progress bar.

    Returns:
      `images`: uint8 `[n, 64, 64, 3]` of those that could be read, in the order of names. `damaged`: the places in `names`
      of the others, int64.

    Raises:
      UserError: an image is not framed as CelebA's aligned images are; or cannot be read, unless skip_damaged.
    """
    pictures = np.empty((len(names), SIZE, SIZE, 3), np.uint8)

    def fill(place: int) -> str:
        try:
            image = Image.open(io.BytesIO(images.read(names[place]))).convert("RGB")
        # Damage shows as whatever PIL or ZIP stumbles over first; all of it means the same here.
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        _check_frame(names[place], image.size)
        pictures[place] = picture(image)
        return ""

    damaged = []
    # PIL lets go of the interpreter while it decodes: threads are enough, and fill one array.
    with ThreadPool(min(MAX_THREADS, os.cpu_count() or 1)) as pool, progress.bar(len(names), "CelebA", "image") as bar:
        for place, problem in enumerate(pool.imap(fill, range(len(names)), chunksize=16)):
            if problem:
                files.check_damaged("CelebA", [names[place]], skip_damaged, problem)
                damaged.append(place)
            bar.update()
    return {
        "images": np.delete(pictures, damaged, axis=0) if damaged else pictures,
        "damaged": np.array(damaged, np.int64),
    }


def picture(image: Image.Image) -> np.ndarray:
    """Return the centre 148x148 of an aligned image 178x218, resized: uint8 `[64, 64, 3]`.

    Of an image of another size the same part in proportion, to fractions of a pixel.
    """
    across, down = (size / whole for size, whole in zip(image.size, FRAME, strict=True))
    left, upper = (FRAME[0] - CROP) / 2 * across, (FRAME[1] - CROP) / 2 * down
    right, lower = left + CROP * across, upper + CROP * down
    # Cropped first, as in the release: resizing takes in neighbours from beyond a box that is no crop.
    x, y = math.floor(left), math.floor(upper)
    cropped = image.crop((x, y, math.ceil(right), math.ceil(lower)))
    return np.asarray(cropped.resize((SIZE, SIZE), RESAMPLING, box=(left - x, upper - y, right - x, lower - y)))


def _lines(path: Path) -> list[list[str]]:
    """Return the words of each line, without blank lines at the end."""
    try:
        text = path.read_text(encoding="utf-8").rstrip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as text ({error}); copy it again.") from error
    if not text:
        raise UserError(f"{path} is empty; copy it again.")
    return [line.split() for line in text.splitlines()]


def _distinct(path: Path, names: Sequence[str], first_line: int) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        seen = set()
        line, name = next((i, n) for i, n in enumerate(names, first_line) if n in seen or seen.add(n))
        raise UserError(f"{path}, line {line}: {name} is there twice.")
    return tuple(names)


def _ones(path: Path, rows: Sequence[Sequence[str]]) -> np.ndarray:
    """Where the words behind the first of each row are "1" and not "-1", int8 `[N, 40]`."""
    words = np.array([row[1:] for row in rows])
    ones = words == "1"
    wrong = np.argwhere(~ones & (words != "-1"))
    if len(wrong):
        row, column = wrong[0]
        name, value = rows[row][0], rows[row][1 + column]
        raise UserError(f"{path}, line {row + 3}: wanted values of 1 and -1, not {value!r} ({name}).")
    return ones.astype(np.int8)


def _is_jpeg(name: str) -> bool:
    # Archives made on a Mac hold a second file for each one, which begins with a dot.
    return name.lower().endswith(".jpg") and not name.startswith(".")


def _check_any(path: Path, names) -> None:
    if not names:
        raise UserError(f"{path} holds no .jpg files; the images 000001.jpg, 000002.jpg and so on of CelebA should be in it.")


def _check_frame(name: str, size: tuple[int, int]) -> None:
    width, height = size
    if abs(height - width * FRAME[1] / FRAME[0]) > 1:
        raise UserError(
            f"The image {name} of CelebA is {width}x{height}, but aligned images are 178x218, or of that shape; use the images "
            "of img_align_celeba, not those in the wild or cropped ones."
        )
