"""The embedded data set: what is paired with what, and that nothing of the test part is seen in training."""

import inspect

import numpy as np
import pytest
from dataset_contract import DatasetContract
from sklearn.datasets import load_digits, load_sample_images

from mmtf import text
from mmtf.data import digits

SMALL = {"pairings": 3, "scenes_per_digit": 2, "test_pairings": 2}
PAIRINGS = {"train": 3, "test": 2}


@pytest.fixture(scope="module")
def data():
    return digits.load(**SMALL)


@pytest.fixture(scope="module")
def fifth():
    """Of fewer scans, each of which is paired twice."""
    return digits.load(2, fraction=0.2, test_pairings=1)


class TestContract(DatasetContract):
    @pytest.fixture
    def again(self):
        return digits.load(**SMALL)


@pytest.fixture(scope="module", params=["train", "test"])
def split(request, data):
    return getattr(data, request.param)


def test_counts(data):
    assert [len(data.train), len(data.test)] == [1400 * 3, 397 * 2]
    assert {name: (pool.dtype, pool.shape) for name, pool in data.train.pools.items()} == {
        "digit": (np.uint8, (1400, 28, 28, 1)),
        "scene": (np.uint8, (1400 * 2, 32, 32, 3)),
        "word": (np.int32, (50, 8)),
    }
    # 28,000 and 1,985 examples of 16,800 and 1,985 scenes.
    usual = {name: p.default for name, p in inspect.signature(digits.load).parameters.items()}
    assert usual == {
        "pairings": 20, "seed": 0, "scenes_per_digit": 12, "test_pairings": 5, "fraction": 1.0, "unpaired": False,
    }  # fmt: skip


def test_modalities_are_those_of_the_published_mmjsd(data):
    assert data.names == ("digit", "scene", "word")
    assert [m.likelihood for m in data.modalities] == ["laplace", "laplace", "categorical"]
    assert [m.scale for m in data.modalities[:2]] == [0.75, 0.75]
    assert data.modalities[2].num_classes == 71
    assert [m.likelihood_weight for m in data.modalities] == [3072 / 784, 1, 3072 / 8]


def test_scenes_and_words_are_of_the_class_of_their_digit(data, split):
    digit_label = np.full(len(split.pools["digit"]), -1)
    digit_label[split.rows["digit"]] = split.label
    np.testing.assert_array_equal(digit_label[digits.scene_scan(split)[split.rows["scene"]]], split.label)
    words = np.array([s.strip() for s in text.decode(split.pools["word"])])
    np.testing.assert_array_equal(words[split.rows["word"]], np.array(data.class_names)[split.label])


def test_labels_are_those_of_the_scans(data):
    scans, label = load_digits(return_X_y=True)
    images = digits.enlarge(scans.reshape(-1, 8, 8).astype(np.float32) / 16)
    label_of = {image.tobytes(): c for image, c in zip(images, label, strict=True)}
    for part in (data.train, data.test):
        n = len(part.pools["digit"])
        assert [label_of[image.tobytes()] for image in part.take(slice(0, n))["digit"]] == part.label[:n].tolist()


def test_a_scene_never_shows_the_paired_scan(split):
    assert (digits.scene_scan(split)[split.rows["scene"]] != split.rows["digit"]).all()


def test_scans_and_scenes_are_used_evenly(split):
    pairings = len(split) // len(split.pools["digit"])
    assert set(np.bincount(split.rows["digit"])) == {pairings}
    assert set(np.bincount(digits.scene_scan(split)[split.rows["scene"]])) == {pairings}
    uses = np.bincount(split.rows["scene"], minlength=len(split.pools["scene"]))
    assert uses.min() >= 1
    assert uses.max() - uses.min() <= 1


def test_every_scan_is_there_once(data):
    train, test = ({image.tobytes() for image in part.pools["digit"]} for part in (data.train, data.test))
    assert [len(train), len(test)] == [1400, 397]


def test_the_split_is_stratified(data):
    train, test = (np.bincount(getattr(data, part).label) / pairings for part, pairings in PAIRINGS.items())
    np.testing.assert_allclose(test / (test + train), 397 / 1797, atol=0.005)


def test_equal_scans_stay_on_one_side():
    scans, label = load_digits(return_X_y=True)
    scans, label = np.concatenate([scans, scans[:100]]), np.concatenate([label, label[:100]])
    train, test = digits.split_rows(scans, label)
    assert len(train) + len(test) == 1897
    assert not {s.tobytes() for s in scans[train]} & {s.tobytes() for s in scans[test]}


def test_the_photographs_regions_are_disjoint():
    whole = np.stack(load_sample_images().images)[:, :426].reshape(2, 213, 2, 320, 2, 3).mean(axis=(2, 4)) / 255
    regions = np.concatenate([digits.photographs("test"), digits.photographs("train")], axis=2)
    np.testing.assert_allclose(regions, whole, atol=1e-6)  # side by side they are the whole: no column twice


def test_scene_n_shows_scan_n():
    scans = np.random.default_rng(0).random((6, 8, 8), np.float32)
    changed = scans.copy()
    changed[4] = 1 - changed[4]
    one, other = (digits.draw_scenes(s, digits.photographs("train"), np.random.default_rng(1)) for s in (scans, changed))
    assert (one != other).any(axis=(1, 2, 3)).tolist() == [False, False, False, False, True, False]


def test_ink_stands_out_from_its_ground_and_lies_inside_the_scene():
    photos = digits.photographs("train")
    full, empty = (
        digits.draw_scenes(np.full((2000, 8, 8), ink, np.float32), photos, np.random.default_rng(2)) for ink in (1, 0)
    )
    contrast = np.abs(full.astype(float) - empty).mean(axis=3)
    inked = contrast > 0
    assert (contrast.sum(axis=(1, 2)) / inked.sum(axis=(1, 2))).min() > 0.1 * 255
    heights, widths = (inked.any(axis=axis).sum(axis=1) for axis in (2, 1))
    assert heights.min() >= 20
    assert (widths <= heights + 1).all()


def test_enlarging_keeps_the_amount_of_ink_and_its_place():
    scans = load_digits().images.astype(np.float32) / 16
    images = digits.enlarge(scans)[..., 0] / 255
    np.testing.assert_allclose(images.mean(axis=(1, 2)), scans.mean(axis=(1, 2)), atol=0.03)
    centre = [
        (a.mean(axis=1) * np.linspace(0, 1, a.shape[1])).sum(axis=1) / a.mean(axis=1).sum(axis=1) for a in (scans, images)
    ]
    np.testing.assert_allclose(*centre, atol=0.02)


def test_the_seed_decides_on_scenes_and_pairings_and_not_on_the_split(data):
    other = digits.load(seed=6, **SMALL)
    for part in ("train", "test"):
        a, b = getattr(data, part), getattr(other, part)
        np.testing.assert_array_equal(a.pools["digit"], b.pools["digit"])
        assert (a.pools["scene"] != b.pools["scene"]).any(axis=(1, 2, 3)).all()
        for name in ("scene", "word"):
            assert (a.rows[name] != b.rows[name]).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pairings": 0}, "pairings must be 1 or more, not 0"),
        ({"scenes_per_digit": 0}, "scenes_per_digit must be 1 or more, not 0"),
        ({"test_pairings": -2}, "test_pairings must be 1 or more, not -2"),
        ({"seed": -1}, "seed must be 0 or more, not -1"),
    ],
)
def test_bad_arguments_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        digits.load(**arguments)


def test_a_fraction_keeps_a_share_of_each_class_in_pairs(data, fifth):
    label, train = data.train.label[:1400], fifth.train
    used = np.unique(train.rows["digit"])
    kept = np.bincount(label[used])
    np.testing.assert_array_equal(kept, np.round(0.2 * np.bincount(label)))
    assert len(train) == 2 * kept.sum()
    # The scenes are of the same scans, each of another one of its class.
    shown = digits.scene_scan(train)[train.rows["scene"]]
    assert set(shown) == set(used)
    assert not np.any(shown == train.rows["digit"])


def test_unpaired_values_stand_alone_behind_the_pairs(fifth):
    pairs, more = fifth.train, digits.load(2, fraction=0.2, test_pairings=1, unpaired=True).train
    singles = more.at(slice(len(pairs), None))
    assert len(singles) == sum(len(pool) for pool in more.pools.values())
    np.testing.assert_array_equal(sum(mask.astype(int) for mask in singles.mask.values()), 1)
    for name, pool in more.pools.items():
        np.testing.assert_array_equal(singles.rows[name][singles.mask[name]], np.arange(len(pool)))
    assert more.at(slice(len(pairs))).has(pairs.rows).all()


def test_the_last_result_is_kept_and_cannot_be_changed():
    first = digits.load(pairings=1, scenes_per_digit=1)
    assert digits.load(pairings=1, scenes_per_digit=1) is first
    for split in (first.train, first.test):
        for array in (*split.pools.values(), *split.rows.values(), split.label):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0
    assert digits.load(pairings=1, scenes_per_digit=2) is not first
