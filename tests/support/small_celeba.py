"""CelebA in small and made up: image number n is one colour that tells n."""

import io
import zipfile

import numpy as np
from PIL import Image

from mmtf.config import DataConfig
from mmtf.data import celeba, celeba_files

COUNT = 12
PARTS = np.array([0, 0, 2, 1, 0, 2, 0, 1, 0, 0, 2, 0])
PRESENT = np.random.default_rng(0).integers(0, 2, (COUNT, 40)) * (np.arange(COUNT) > 0)[:, None]  # image 0 has none


def image_names(count=COUNT):
    return [f"{n + 1:06}.jpg" for n in range(count)]


def jpeg(pixels) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=95)
    return content.getvalue()


def grey(number, size=(178, 218)):
    """The image that tells its number."""
    return np.full((size[1], size[0], 3), 20 * number, np.uint8)


def numbers(images):
    """Numbers of images made by `grey`."""
    return [round(image.mean() / 20) for image in images]


def attribute_lines(present=PRESENT, names=celeba_files.ATTRIBUTES):
    rows = zip(image_names(len(present)), present, strict=True)
    return [str(len(present)), " ".join(names) + " "] + [
        f"{image} " + " ".join(" 1" if v else "-1" for v in row) for image, row in rows
    ]


def write_lines(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines))


def write_partition(path, parts=PARTS):
    write_lines(path, [f"{name} {part}" for name, part in zip(image_names(), parts, strict=True)])


def miniature(data_dir):
    """Its folder in a data folder: 12 images in a folder, 7 for training, 2 for validation and 3 for test, and their lists."""
    place = data_dir / "celeba"
    (place / "img_align_celeba").mkdir(parents=True)
    for n, name in enumerate(image_names()):
        (place / "img_align_celeba" / name).write_bytes(jpeg(grey(n)))
    write_lines(place / "list_attr_celeba.txt", attribute_lines())
    write_partition(place / "list_eval_partition.txt")
    return place


def to_zip(place, prefix="img_align_celeba/"):
    """Moves the images into an archive like the original one."""
    with zipfile.ZipFile(place / "img_align_celeba.zip", "w") as archive:
        for path in sorted((place / "img_align_celeba").iterdir()):
            archive.write(path, prefix + path.name)
            path.unlink()
    (place / "img_align_celeba").rmdir()
    return place / "img_align_celeba.zip"


def load(place, **options):
    return celeba.load(DataConfig(dataset="celeba", data_dir=str(place.parent), **options))
