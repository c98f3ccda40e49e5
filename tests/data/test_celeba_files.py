"""The files of CelebA: the crop, the parts, and a sentence for each file that cannot be used."""

import logging
import zipfile
from pathlib import Path

import numpy as np
import pytest
import small_celeba
from original_files import REAL, needs_real
from PIL import Image
from small_celeba import (
    COUNT,
    PARTS,
    PRESENT,
    attribute_lines,
    grey,
    image_names,
    jpeg,
    numbers,
    to_zip,
    write_lines,
    write_partition,
)

from mmtf.data import cache, celeba, celeba_files
from mmtf.errors import UserError


@pytest.fixture
def root(own_folder, tmp_path):
    return small_celeba.miniature(tmp_path / "data")


def test_the_crop_of_an_image_of_the_original_size_is_that_of_the_release():
    noise = np.random.default_rng(2).integers(0, 256, (218, 178, 3), dtype=np.uint8)
    wanted = Image.fromarray(noise[35 : 35 + 148, 15 : 15 + 148]).resize((64, 64), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(celeba_files.picture(Image.fromarray(noise)), wanted)


@pytest.mark.parametrize("size", [(178, 218), (89, 109), (356, 436), (90, 110)])
def test_the_crop_of_any_size_is_the_same_part_of_the_image(size):
    """A linear ramp stays one: the value at output k is that at 15 + (k + 1/2) 148/64 of 178, and so on downwards."""
    x, y = ((np.arange(n) + 0.5) / n for n in size)
    ramp = np.stack(np.broadcast_arrays(255 * x, 255 * y[:, None], 128.0), axis=-1)
    found = celeba_files.picture(Image.fromarray(np.round(ramp).astype(np.uint8))).astype(float)
    across = 255 * (15 + (np.arange(64) + 0.5) * 148 / 64) / 178
    down = 255 * (35 + (np.arange(64) + 0.5) * 148 / 64) / 218
    inner = slice(3, -3)  # at the edge of the crop the kernel is cut off
    np.testing.assert_allclose(found[inner, inner, 0], np.tile(across[inner], (58, 1)), atol=1.1)
    np.testing.assert_allclose(found[inner, inner, 1], np.tile(down[inner, None], (1, 58)), atol=1.1)
    assert (found[..., 2] == 128).all()


def test_an_archive_gives_the_same_as_a_folder(root):
    folder = small_celeba.load(root)
    to_zip(root)
    with zipfile.ZipFile(root / "img_align_celeba.zip", "a") as archive:
        archive.writestr("__MACOSX/img_align_celeba/._000001.jpg", b"of a Mac")
    data = small_celeba.load(root)
    for split, other in ((data.train, folder.train), (data.test, folder.test)):
        np.testing.assert_array_equal(split.pools["image"], other.pools["image"])
        np.testing.assert_array_equal(split.label, other.label)
    assert sorted(path.name for path in root.iterdir()) == [
        "img_align_celeba.zip",
        "list_attr_celeba.txt",
        "list_eval_partition.txt",
    ]


def test_the_folder_is_used_where_there_is_an_archive_too(root, caplog):
    with zipfile.ZipFile(root / "img_align_celeba.zip", "w") as archive:
        archive.writestr("img_align_celeba/000001.jpg", b"never read")
    with caplog.at_level(logging.INFO):
        assert numbers(small_celeba.load(root).test.pools["image"]) == [2, 5, 10]
    assert "read from the folder img_align_celeba; img_align_celeba.zip beside it is not used" in caplog.text


def test_the_lists_may_name_more_images_than_are_there(root, caplog):
    for n in (1, 2, 3):
        (root / "img_align_celeba" / image_names()[n]).unlink()
    data = small_celeba.load(root)
    assert "3 of the 12 images listed are not in img_align_celeba" in caplog.text
    assert numbers(data.train.pools["image"]) == [0, 4, 6, 8, 9, 11]
    assert numbers(data.test.pools["image"]) == [5, 10]
    np.testing.assert_array_equal(data.test.label, PRESENT[[5, 10]])


def test_a_local_partition_is_for_images_that_the_official_one_leaves_without_a_part(root, caplog):
    write_partition(root / "list_local_partition.txt", 2 - PARTS)
    assert numbers(small_celeba.load(root).test.pools["image"]) == [2, 5, 10]  # by the official one
    assert "list_local_partition.txt" not in caplog.text
    write_partition(root / "list_eval_partition.txt", np.zeros(COUNT, int))
    data = small_celeba.load(root)
    assert numbers(data.train.pools["image"]) == [2, 5, 10]
    assert numbers(data.test.pools["image"]) == [0, 1, 4, 6, 8, 9, 11]
    assert "parted by list_local_partition.txt: 3 training and 7 test examples" in data.sources["celeba"]
    assert "list_eval_partition.txt none of the 12 images that are there is a test image" in caplog.text
    assert "list_local_partition.txt is used" in caplog.text
    (root / "list_eval_partition.txt").unlink()
    assert numbers(small_celeba.load(root).train.pools["image"]) == [2, 5, 10]


def test_without_a_usable_partition_there_is_an_error_that_says_how_to_write_one(root):
    write_partition(root / "list_eval_partition.txt", np.ones(COUNT, int))
    with pytest.raises(UserError, match="none of the 12 images that are there is a training or a test image") as error:
        small_celeba.load(root)
    assert "list_local_partition.txt with a line per image such as '000001.jpg 0'" in str(error.value)
    (root / "list_eval_partition.txt").unlink()
    with pytest.raises(UserError, match="has no list_eval_partition.txt"):
        small_celeba.load(root)
    write_lines(root / "list_eval_partition.txt", [f"{name} 0" for name in image_names()[:-1]])
    with pytest.raises(UserError, match="does not say to which part 000012.jpg belongs"):
        small_celeba.load(root)


def edited(lines, number, line):
    """The lines with another one, counted from 1 as editors do."""
    return [*lines[: number - 1], line, *lines[number:]]


GOOD = attribute_lines()


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (edited(GOOD, 1, "202599"), "line 1: it should say how many images follow, but says '202599' and 12 follow"),
        (GOOD[:-1], "line 1: it should say how many images follow, but says '12' and 11 follow"),
        (edited(GOOD, 2, GOOD[1].replace("Male", "Man")), r"line 2: wanted CelebA's 40 attribute names.*see Male"),
        (edited(GOOD, 2, GOOD[1].replace("Male", "Young")), r"line 2: wanted CelebA's 40 attribute names"),
        (GOOD[:1], "line 2: wanted CelebA's 40 attribute names.*but 0 are there"),
        (edited(GOOD, 5, GOOD[4][:-3]), "line 5: wanted an image name and 40 values, not 40 words"),
        (edited(GOOD, 5, GOOD[4][:-2] + " 0"), r"line 5: wanted values of 1 and -1, not '0' \(000003.jpg\)"),
        (edited(GOOD, 5, GOOD[4][:-2] + "+1"), r"line 5: wanted values of 1 and -1, not '\+1'"),
        (edited(GOOD, 5, GOOD[3]), "line 5: 000002.jpg is there twice"),
        (["11", *GOOD[1:-1]], "has no line for 1 of the 12 images in img_align_celeba, such as 000012.jpg"),
        ([], "is empty"),
    ],
)
def test_a_list_of_attributes_that_cannot_be_right_is_an_error_with_its_line(root, lines, complaint):
    write_lines(root / "list_attr_celeba.txt", lines)
    with pytest.raises(UserError, match=complaint) as error:
        small_celeba.load(root)
    assert str(root / "list_attr_celeba.txt") in str(error.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("000001.jpg 0\n000002.jpg 3\n", r"line 2: .* 0 \(training\), 1 \(validation\) or 2 \(test\), not '000002.jpg 3'"),
        ("000001.jpg 0\n\n000002.jpg 1\n", "line 2: wanted an image name and its part"),
        ("000001.jpg 0\n000001.jpg 1\n", "line 2: 000001.jpg is there twice"),
        ("", "is empty"),
    ],
)
def test_a_partition_that_cannot_be_right_is_an_error_with_its_line(root, content, complaint):
    (root / "list_eval_partition.txt").write_text(content)
    with pytest.raises(UserError, match=complaint) as error:
        small_celeba.load(root)
    assert str(root / "list_eval_partition.txt") in str(error.value)


def test_bytes_that_are_no_text_are_an_error(root):
    (root / "list_attr_celeba.txt").write_bytes(b"12\n\xff\xfe")
    with pytest.raises(UserError, match="list_attr_celeba.txt cannot be read as text"):
        small_celeba.load(root)


def damage(root, *which):
    """Cuts images short, in the middle of their pixels."""
    for n in which:
        path = root / "img_align_celeba" / image_names()[n]
        path.write_bytes(path.read_bytes()[:-400])


def test_a_damaged_image_is_named_and_refused_and_leaves_nothing(root):
    damage(root, 4, 10)
    with pytest.raises(UserError, match="The image 000005.jpg of CelebA cannot be read .*truncated.*--skip_damaged"):
        small_celeba.load(root)
    assert not list(cache.folder().iterdir())


def test_damaged_images_can_be_left_out_and_are_counted(root):
    damage(root, 4, 10)
    for _ in range(2):  # decoded, and then from the cache
        data = small_celeba.load(root, skip_damaged=True)
        assert numbers(data.train.pools["image"]) == [0, 1, 6, 8, 9, 11]
        assert numbers(data.test.pools["image"]) == [2, 5]
        np.testing.assert_array_equal(data.train.label, PRESENT[[0, 1, 6, 8, 9, 11]])
        np.testing.assert_array_equal(data.test.label, PRESENT[[2, 5]])
        assert "; 2 images left out as damaged" in data.sources["celeba"]
    with pytest.raises(UserError, match="The image 000005.jpg and 1 more of CelebA cannot be read: .*--skip_damaged"):
        small_celeba.load(root)


def test_damaged_images_for_validation_are_never_looked_at(root):
    damage(root, 3)
    assert "damaged" not in small_celeba.load(root).sources["celeba"]


def test_a_part_of_damaged_images_only_is_an_error(root):
    damage(root, 2, 5, 10)
    with pytest.raises(UserError, match="no training or no test image is left"):
        small_celeba.load(root, skip_damaged=True)


def test_an_archive_cut_short_is_an_error(root):
    path = to_zip(root)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match="img_align_celeba.zip cannot be read as a ZIP archive .*copy it again"):
        small_celeba.load(root)


def test_an_image_damaged_within_an_archive_is_named(root):
    path = to_zip(root)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        content[archive.getinfo("img_align_celeba/000007.jpg").header_offset + 500] ^= 255
    path.write_bytes(content)
    with pytest.raises(UserError, match="The image 000007.jpg of CelebA cannot be read .*Bad CRC-32"):
        small_celeba.load(root)
    assert numbers(small_celeba.load(root, skip_damaged=True).train.pools["image"]) == [0, 1, 4, 8, 9, 11]


def test_a_place_without_images_is_an_error(root):
    for path in (root / "img_align_celeba").iterdir():
        path.rename(path.with_suffix(".png"))
    with pytest.raises(UserError, match="img_align_celeba holds no .jpg files"):
        small_celeba.load(root)
    to_zip(root)
    with pytest.raises(UserError, match="img_align_celeba.zip holds no .jpg files"):
        small_celeba.load(root)
    (root / "img_align_celeba.zip").unlink()
    with pytest.raises(UserError, match="has some of the files list_attr_celeba.txt, img_align_celeba, but not img_align"):
        small_celeba.load(root)


@pytest.mark.parametrize("size", [(218, 178), (178, 178), (178, 214), (409, 687)])
def test_images_that_are_not_framed_as_the_aligned_ones_are_an_error(root, size):
    (root / "img_align_celeba" / "000002.jpg").write_bytes(jpeg(grey(1, size)))
    with pytest.raises(UserError, match=f"000002.jpg of CelebA is {size[0]}x{size[1]}, but aligned images are 178x218"):
        small_celeba.load(root, skip_damaged=True)


def test_grey_jpegs_and_half_size_ones_are_read_too(root):
    (root / "img_align_celeba" / "000002.jpg").write_bytes(jpeg(grey(1)[..., 0]))
    (root / "img_align_celeba" / "000005.jpg").write_bytes(jpeg(grey(4, (89, 109))))
    images = small_celeba.load(root).train.pools["image"]
    assert numbers(images) == [0, 1, 4, 6, 8, 9, 11]
    assert (np.ptp(images[1:3], axis=(1, 2, 3)) <= 3).all()


@needs_real("celeba/list_attr_celeba.txt")
def test_the_real_list_has_the_published_names_and_the_counts_of_its_readme():
    attributes = celeba_files.read_attributes(Path(REAL) / "celeba" / "list_attr_celeba.txt")
    assert attributes.names == celeba_files.ATTRIBUTES
    if len(attributes.images) != 10_000:
        pytest.skip("the counts are those of the first 10,000 images")
    positives = dict(zip(attributes.names, attributes.present.sum(axis=0), strict=True))
    known = {"Male": 4217, "Smiling": 4822, "Young": 7771, "Eyeglasses": 674, "Wearing_Hat": 483, "Bald": 246, "Bangs": 1477}
    known |= {"Blond_Hair": 1452, "Black_Hair": 2432, "Brown_Hair": 2033, "Mustache": 374, "Mouth_Slightly_Open": 4812}
    assert {name: positives[name] for name in known} == known
    lengths = [len(s) for s in celeba.strings(attributes.present, celeba.readable(attributes.names), length=10_000)]
    assert sum(length > 256 for length in lengths) == 1
    assert max(lengths) == 260
