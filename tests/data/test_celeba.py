"""CelebA: which image has which text and labels, the crop, the parts, and a sentence for each file that cannot be used.

The pictures here are made up: image number n is one colour that tells n, or a ramp whose crop is known in closed form.
"""

import io
import itertools
import logging
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from mmtf.config import DataConfig
from mmtf.data import celeba, celeba_files, text
from mmtf.errors import UserError

COUNT = 12
PARTS = np.array([0, 0, 2, 1, 0, 2, 0, 1, 0, 0, 2, 0])
PRESENT = np.random.default_rng(0).integers(0, 2, (COUNT, 40)) * (np.arange(COUNT) > 0)[:, None]  # image 0 has none
SHADOW = "5 o'clock shadow"


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """No folder of the developer's is read or written."""
    monkeypatch.delenv("MMTF_DATA_DIR", raising=False)
    monkeypatch.setenv("MMTF_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path / "tfds"))


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


@pytest.fixture
def root(tmp_path):
    """CelebA in small: 12 images in a folder, 7 for training, 2 for validation and 3 for test."""
    place = tmp_path / "data" / "celeba"
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


def test_every_image_has_its_own_text_and_labels_and_is_in_its_part(root):
    data = load(root)
    assert data.class_names[:3] == (SHADOW, "arched eyebrows", "attractive")
    assert data.multi_label
    for split, part in ((data.train, 0), (data.test, 2)):
        wanted = np.flatnonzero(part == PARTS)
        values = split.take(np.arange(len(split)))
        assert numbers(values["image"]) == wanted.tolist()
        np.testing.assert_array_equal(split.label, PRESENT[wanted])
        for said, row in zip(text.decode(values["text"]), PRESENT[wanted], strict=True):
            names = [name for name, there in zip(data.class_names, row, strict=True) if there]
            # Cut texts name the first attributes; here none of them is shorter by more than half.
            assert said.rstrip("*") in (", ".join(names[:k]) for k in range(len(names) // 2, len(names) + 1))


def test_values_modalities_and_weights_are_those_of_the_paper(root):
    data = load(root)
    image, words = data.modalities
    assert (image.event_shape, image.likelihood, image.likelihood_weight) == ((64, 64, 3), "laplace", 1.0)
    assert (words.event_shape, words.likelihood, words.likelihood_weight) == ((256,), "categorical", 3 * 64 * 64 / 256)
    assert (words.num_classes, words.alphabet) == (71, text.ALPHABET)
    assert {name: (pool.dtype, pool.shape[1:]) for name, pool in data.train.pools.items()} == {
        "image": (np.uint8, (64, 64, 3)),
        "text": (np.uint8, (256,)),
    }
    assert text.decode(data.train.pools["text"][:1]) == ["*" * 256]  # image 0 has no attribute


def test_the_sources_say_what_was_used_and_that_it_is_a_part(root):
    assert load(root).sources == {
        "celeba": "original files, parted by list_eval_partition.txt: 7 training and 3 test examples; 2 images for validation "
        "are not used (the whole set has 162,770 and 19,962)"
    }


def test_the_names_follow_the_order_of_the_file(root):
    order = np.random.default_rng(1).permutation(40)
    names = [celeba_files.ATTRIBUTES[i] for i in order]
    write_lines(root / "list_attr_celeba.txt", attribute_lines(PRESENT[:, order], names))
    data = load(root)
    assert data.class_names == celeba.readable(names)
    np.testing.assert_array_equal(data.train.label, PRESENT[PARTS == 0][:, order])
    first = text.decode(data.train.pools["text"][1:2])[0].split(",")[0]
    assert first == next(name for name, there in zip(data.class_names, PRESENT[1, order], strict=True) if there)


def test_people_see_texts_without_their_filling(root):
    data = load(root)
    shown = data.show["text"](data.test.pools["text"])
    assert shown == celeba.strings(data.test.label, data.class_names)
    assert not any("*" in string for string in shown)


def test_strings_are_those_of_table_12():
    names = celeba.readable(celeba_files.ATTRIBUTES)
    rows = [
        "big nose, male, no beard, young",
        "5 o'clock shadow, bags under eyes, big nose, bushy eyebrows, chubby, double chin, gray hair, high cheekbones, male, "
        "mouth slightly open, no beard, smiling, straight hair, wearing necktie",
        "attractive, brown hair, heavy makeup, high cheekbones, mouth slightly open, no beard, oval face, pointy nose, "
        "smiling, wavy hair, wearing earrings, wearing lipstick, young",
    ]
    present = np.array([[name in row.split(", ") for name in names] for row in rows], np.int8)
    assert celeba.strings(present, names) == rows


def test_a_string_ends_after_the_last_whole_name_that_fits():
    names = celeba.readable(celeba_files.ATTRIBUTES)
    for row, length in itertools.product(PRESENT, (0, 3, 16, 31, 100, 255, 256, 257, 600)):
        kept = [name for name, there in zip(names, row, strict=True) if there]
        while len(", ".join(kept)) > length:  # as the authors' release does it
            kept.pop()
        assert celeba.strings(row[None], names, length) == [", ".join(kept)]


def test_cut_texts_are_counted_and_their_labels_stay_whole(root, caplog):
    present = PRESENT.copy()
    present[[1, 4]] = 1
    write_lines(root / "list_attr_celeba.txt", attribute_lines(present))
    names = celeba.readable(celeba_files.ATTRIBUTES)
    too_long = sum(len(", ".join(itertools.compress(names, row))) > 256 for row in present[PARTS == 0])
    assert too_long >= 2
    with caplog.at_level(logging.INFO):
        data = load(root)
    assert f"{too_long} of 7 texts are longer than 256 and were cut" in caplog.text
    np.testing.assert_array_equal(data.train.label, present[PARTS == 0])
    assert all(len(t.rstrip("*")) > 256 - len(", mouth slightly open") for t in text.decode(data.train.pools["text"][[1, 2]]))


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


def test_a_fraction_keeps_fixed_training_examples_and_all_test_examples(root):
    whole, part, smaller = (load(root, data_fraction=f) for f in (1.0, 0.6, 0.3))
    assert [len(d.train) for d in (whole, part, smaller)] == [7, 4, 2]
    assert [len(d.test) for d in (whole, part, smaller)] == [3, 3, 3]
    assert set(smaller.train.rows["image"]) < set(part.train.rows["image"])
    np.testing.assert_array_equal(part.train.rows["image"], part.train.rows["text"])
    np.testing.assert_array_equal(part.train.label, whole.train.label[part.train.rows["image"]])
    np.testing.assert_array_equal(part.train.rows["image"], load(root, data_fraction=0.6).train.rows["image"])
    others = [load(root, data_fraction=0.6, data_seed=seed).train.rows["image"].tolist() for seed in range(1, 6)]
    assert others != [part.train.rows["image"].tolist()] * 5


def test_an_archive_gives_the_same_as_a_folder(root):
    folder = load(root)
    to_zip(root)
    with zipfile.ZipFile(root / "img_align_celeba.zip", "a") as archive:
        archive.writestr("__MACOSX/img_align_celeba/._000001.jpg", b"of a Mac")
    data = load(root)
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
        assert numbers(load(root).test.pools["image"]) == [2, 5, 10]
    assert "read from the folder img_align_celeba; img_align_celeba.zip beside it is not used" in caplog.text


def test_the_lists_may_name_more_images_than_are_there(root, caplog):
    for n in (1, 2, 3):
        (root / "img_align_celeba" / image_names()[n]).unlink()
    data = load(root)
    assert "3 of the 12 images listed are not in img_align_celeba" in caplog.text
    assert numbers(data.train.pools["image"]) == [0, 4, 6, 8, 9, 11]
    assert numbers(data.test.pools["image"]) == [5, 10]
    np.testing.assert_array_equal(data.test.label, PRESENT[[5, 10]])


def test_a_local_partition_is_for_images_that_the_official_one_leaves_without_a_part(root, caplog):
    write_partition(root / "list_local_partition.txt", 2 - PARTS)
    assert numbers(load(root).test.pools["image"]) == [2, 5, 10]  # by the official one
    assert "list_local_partition.txt" not in caplog.text
    write_partition(root / "list_eval_partition.txt", np.zeros(COUNT, int))
    data = load(root)
    assert numbers(data.train.pools["image"]) == [2, 5, 10]
    assert numbers(data.test.pools["image"]) == [0, 1, 4, 6, 8, 9, 11]
    assert "parted by list_local_partition.txt: 3 training and 7 test examples" in data.sources["celeba"]
    assert "list_eval_partition.txt none of the 12 images that are there is a test image" in caplog.text
    assert "list_local_partition.txt is used" in caplog.text
    (root / "list_eval_partition.txt").unlink()
    assert numbers(load(root).train.pools["image"]) == [2, 5, 10]


def test_without_a_usable_partition_there_is_an_error_that_says_how_to_write_one(root):
    write_partition(root / "list_eval_partition.txt", np.ones(COUNT, int))
    with pytest.raises(UserError, match="none of the 12 images that are there is a training or a test image") as error:
        load(root)
    assert "list_local_partition.txt with a line per image such as '000001.jpg 0'" in str(error.value)
    (root / "list_eval_partition.txt").unlink()
    with pytest.raises(UserError, match="has no list_eval_partition.txt"):
        load(root)
    write_lines(root / "list_eval_partition.txt", [f"{name} 0" for name in image_names()[:-1]])
    with pytest.raises(UserError, match="does not say to which part 000012.jpg belongs"):
        load(root)


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
        load(root)
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
        load(root)
    assert str(root / "list_eval_partition.txt") in str(error.value)


def test_bytes_that_are_no_text_are_an_error(root):
    (root / "list_attr_celeba.txt").write_bytes(b"12\n\xff\xfe")
    with pytest.raises(UserError, match="list_attr_celeba.txt cannot be read as text"):
        load(root)


def damage(root, *which):
    """Cuts images short, in the middle of their pixels."""
    for n in which:
        path = root / "img_align_celeba" / image_names()[n]
        path.write_bytes(path.read_bytes()[:-400])


def cached(tmp_path):
    return [path.name for path in (tmp_path / "cache").iterdir()]


def test_a_damaged_image_is_named_and_refused_and_leaves_nothing(root, tmp_path):
    damage(root, 4, 10)
    with pytest.raises(UserError, match="The image 000005.jpg of CelebA cannot be read .*truncated.*--skip_damaged"):
        load(root)
    assert cached(tmp_path) == []


def test_damaged_images_can_be_left_out_and_are_counted(root):
    damage(root, 4, 10)
    for _ in range(2):  # decoded, and then from the cache
        data = load(root, skip_damaged=True)
        assert numbers(data.train.pools["image"]) == [0, 1, 6, 8, 9, 11]
        assert numbers(data.test.pools["image"]) == [2, 5]
        np.testing.assert_array_equal(data.train.label, PRESENT[[0, 1, 6, 8, 9, 11]])
        np.testing.assert_array_equal(data.test.label, PRESENT[[2, 5]])
        assert "; 2 images left out as damaged" in data.sources["celeba"]
    with pytest.raises(UserError, match="The image 000005.jpg and 1 more of CelebA cannot be read: .*--skip_damaged"):
        load(root)


def test_damaged_images_for_validation_are_never_looked_at(root):
    damage(root, 3)
    assert "damaged" not in load(root).sources["celeba"]


def test_a_part_of_damaged_images_only_is_an_error(root):
    damage(root, 2, 5, 10)
    with pytest.raises(UserError, match="no training or no test image is left"):
        load(root, skip_damaged=True)


def test_an_archive_cut_short_is_an_error(root):
    path = to_zip(root)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match="img_align_celeba.zip cannot be read as a ZIP archive .*copy it again"):
        load(root)


def test_an_image_damaged_within_an_archive_is_named(root):
    path = to_zip(root)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        content[archive.getinfo("img_align_celeba/000007.jpg").header_offset + 500] ^= 255
    path.write_bytes(content)
    with pytest.raises(UserError, match="The image 000007.jpg of CelebA cannot be read .*Bad CRC-32"):
        load(root)
    assert numbers(load(root, skip_damaged=True).train.pools["image"]) == [0, 1, 4, 8, 9, 11]


def test_a_place_without_images_is_an_error(root):
    for path in (root / "img_align_celeba").iterdir():
        path.rename(path.with_suffix(".png"))
    with pytest.raises(UserError, match="img_align_celeba holds no .jpg files"):
        load(root)
    to_zip(root)
    with pytest.raises(UserError, match="img_align_celeba.zip holds no .jpg files"):
        load(root)
    (root / "img_align_celeba.zip").unlink()
    with pytest.raises(UserError, match="has some of the files list_attr_celeba.txt, img_align_celeba, but not img_align"):
        load(root)


@pytest.mark.parametrize("size", [(218, 178), (178, 178), (178, 214), (409, 687)])
def test_images_that_are_not_framed_as_the_aligned_ones_are_an_error(root, size):
    (root / "img_align_celeba" / "000002.jpg").write_bytes(jpeg(grey(1, size)))
    with pytest.raises(UserError, match=f"000002.jpg of CelebA is {size[0]}x{size[1]}, but aligned images are 178x218"):
        load(root, skip_damaged=True)


def test_grey_jpegs_and_half_size_ones_are_read_too(root):
    (root / "img_align_celeba" / "000002.jpg").write_bytes(jpeg(grey(1)[..., 0]))
    (root / "img_align_celeba" / "000005.jpg").write_bytes(jpeg(grey(4, (89, 109))))
    images = load(root).train.pools["image"]
    assert numbers(images) == [0, 1, 4, 6, 8, 9, 11]
    assert (np.ptp(images[1:3], axis=(1, 2, 3)) <= 3).all()


def test_images_are_decoded_once_and_again_when_a_file_changes(root, tmp_path, monkeypatch):
    decoded = []
    original = celeba_files.decode
    monkeypatch.setattr(celeba_files, "decode", lambda *a: decoded.append(1) or original(*a))
    first = load(root)
    again = load(root, data_fraction=0.5, skip_damaged=True)
    assert len(decoded) == 1
    np.testing.assert_array_equal(first.train.pools["image"], again.train.pools["image"])
    path = root / "img_align_celeba" / "000001.jpg"
    before = path.stat()
    path.write_bytes(jpeg(grey(3)).ljust(before.st_size, b"\0")[: before.st_size])  # of the same size
    os.utime(path, ns=(0, before.st_mtime_ns + 1))
    assert numbers(load(root).train.pools["image"])[0] == 3
    write_partition(root / "list_eval_partition.txt", np.roll(PARTS, 1))
    load(root)
    assert len(decoded) == 3
    assert len(cached(tmp_path)) == 3


def test_without_files_tfds_is_asked_and_says_the_ways_out(tmp_path):
    with pytest.raises(UserError, match="TFDS has not prepared celeb_a"):
        celeba.load(DataConfig(dataset="celeba", data_dir=str(tmp_path)))


def tfds_examples(builder, split="train", **_):
    """Examples like those of TFDS, in which the attributes come by name and in another order."""
    which = np.flatnonzero({"train": 0, "test": 2}[str(split)] == PARTS)
    features = {
        "image": np.stack([grey(n) for n in which]),
        "attributes": {name: PRESENT[which, i].astype(bool) for i, name in reversed([*enumerate(celeba_files.ATTRIBUTES)])},
    }
    return tf.data.Dataset.from_tensor_slices(features)


def test_tfds_gives_the_same_as_the_files(root, tmp_path, monkeypatch):
    files = load(root)
    config = DataConfig(dataset="celeba", download=True)
    with tfds.testing.mock_data(as_dataset_fn=tfds_examples, policy=tfds.testing.MockPolicy.USE_CODE):
        for _ in range(2):  # decoded, and then from the cache
            data = celeba.load(config)
            assert data.class_names == files.class_names
            assert data.modalities == files.modalities
            for split, other in ((data.train, files.train), (data.test, files.test)):
                assert np.abs(split.pools["image"].astype(int) - other.pools["image"]).max() <= 1  # no JPEG between
                np.testing.assert_array_equal(split.pools["text"], other.pools["text"])
                np.testing.assert_array_equal(split.label, other.label)
            assert data.sources == {
                "celeba": "TFDS celeb_a: 7 training and 3 test examples (the whole set has 162,770 and 19,962)"
            }
            monkeypatch.setattr(celeba_files, "picture", None)
    assert len(cached(tmp_path)) == 3


def test_the_attributes_and_images_of_tfds_itself_fit():
    with tfds.testing.mock_data(num_examples=3, policy=tfds.testing.MockPolicy.USE_CODE):
        data = celeba.load(DataConfig(dataset="celeba", download=True))
        names = tfds.builder("celeb_a").info.features["attributes"].keys()
    assert sorted(names) == sorted(celeba_files.ATTRIBUTES)
    assert data.train.pools["image"].shape == (3, 64, 64, 3)
    assert data.train.label.shape == (3, 40)


def test_the_names_are_those_of_tfds_in_the_order_of_the_original_file():
    headings = pytest.importorskip("tensorflow_datasets.datasets.celeb_a.celeb_a_dataset_builder").ATTR_HEADINGS
    assert tuple(headings) == celeba_files.ATTRIBUTES


REAL = Path(os.environ.get("MMTF_DATA_DIR") or os.devnull) / "celeba"
real = pytest.mark.skipif(not (REAL / "list_attr_celeba.txt").exists(), reason="MMTF_DATA_DIR names no folder with CelebA")


@real
def test_the_real_list_has_the_published_names_and_the_counts_of_its_readme():
    attributes = celeba_files.read_attributes(REAL / "list_attr_celeba.txt")
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


@real
def test_the_real_images_are_parted_and_labelled_as_their_lists_say():
    if not (REAL / "list_local_partition.txt").exists():
        pytest.skip("there is no local partition")
    data = celeba.load(DataConfig(dataset="celeba", data_dir=str(REAL.parent)))
    assert (len(data.train), len(data.test)) == (8000, 1000)
    assert "list_local_partition.txt" in data.sources["celeba"]
    parts = dict(line.split() for line in (REAL / "list_local_partition.txt").read_text().splitlines())
    rows = [line.split() for line in (REAL / "list_attr_celeba.txt").read_text().splitlines()[2:]]
    for split, part in ((data.train, "0"), (data.test, "2")):
        wanted = np.array([[word == "1" for word in row[1:]] for row in rows if parts[row[0]] == part])
        np.testing.assert_array_equal(split.label, wanted)
        images = split.pools["image"]
        assert images.shape == (len(wanted), 64, 64, 3)
        assert len({image.tobytes() for image in images}) == len(images)
        # The image at a place belongs to the label there: hair and skin are darker or lighter as the attributes say.
        brightness = images.mean(axis=(1, 2, 3))
        for name, sign in (("blond hair", 1), ("black hair", -1), ("pale skin", 1)):
            has = split.label[:, data.class_names.index(name)] == 1
            assert sign * (brightness[has].mean() - brightness[~has].mean()) > 5
