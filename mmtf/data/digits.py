"""The embedded real data set: a digit's scan, a street number with another scan of that digit, and its English word.

Real data without a download, in the form of MNIST-SVHN-Text ([S] C.3): scikit-learn carries 1,797 scans of handwritten
digits and two photographs. The scans are the test part of the UCI "Optical Recognition of Handwritten Digits"; they
come without a writer's name, so that a pair shows two scans of one digit, not provably two writers.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import functools

import numpy as np
from sklearn.datasets import load_digits, load_sample_images
from sklearn.model_selection import train_test_split

from mmtf import text
from mmtf.config import declare
from mmtf.data import pairing
from mmtf.data.dataset import MultimodalData, Split
from mmtf.data.entry import DatasetEntry
from mmtf.data.options import PairedOptions
from mmtf.modality import Modality, weighted_by_size
from mmtf.networks import adversarial, classifiers, mnist, svhn
from mmtf.networks import text as text_networks


@declare
class Options(PairedOptions):
    """Options of the embedded digits: those of every data set that is paired by class."""


TEST_SCANS = 397
SPLIT_SEED = 0  # fixed: the seed of `load` changes scenes and pairings, never which scans are for testing
DIGIT_SIZE, SCENE_SIZE = 28, 32
# Columns of the photographs at half their size, [2, 213, 320, 3]. Both parts hold sky, trees, tower, leaves and petals.
PHOTO_COLUMNS = {"test": slice(0, 112), "train": slice(112, 320)}

MODALITIES = weighted_by_size(
    (
        Modality("digit", (DIGIT_SIZE, DIGIT_SIZE, 1)),
        Modality("scene", (SCENE_SIZE, SCENE_SIZE, 3)),
        Modality("word", (8,), "categorical", num_classes=len(text.ALPHABET), alphabet=text.ALPHABET),
    )
)


def load(
    pairings: int = 20,
    seed: int = 0,
    scenes_per_digit: int = 12,
    test_pairings: int = 5,
    *,
    fraction: float = 1.0,
    unpaired: bool = False,
) -> MultimodalData:
    """Return digit, scene and word, paired by class; built in about two seconds, the same for the same arguments.

    The last result is kept in the process. Its arrays are read-only, so that who is given it again gets what was built.

    Args:
      pairings: partners of each of the 1,400 training scans: N = 1,400 * pairings.
      seed: of the scenes and the pairings, 0 or more. The split is the same for every seed.
      scenes_per_digit: scenes drawn from each training scan (each 4.3 MB over all scans); those beyond `pairings` would
        never be used and are not drawn.
      test_pairings: partners of each of the 397 test scans, each with a scene of its own.
      fraction: share of the training scans, and of their scenes, that takes part in pairs.
      unpaired: append every training scan, scene and word as an example that has this modality alone.

    Returns:
      Data of three modalities, labels 0..9, nothing missing unless `unpaired`:
      `digit` uint8 `[28, 28, 1]`, the 8x8 scan enlarged, Laplace likelihood;
      `scene` uint8 `[32, 32, 3]`, another scan of that class and part, in colour over a piece of a photograph, Laplace;
      `word` int32 `[8]`, the English word at a random start, spaces elsewhere, categorical.
      No scan, and no pixel of a photograph, serves both parts.

    Raises:
      ValueError: a count below 1, or a negative seed.
    """
    for name, count in (("pairings", pairings), ("scenes_per_digit", scenes_per_digit), ("test_pairings", test_pairings)):
        if count < 1:
            raise ValueError(f"{name} must be 1 or more, not {count}.")
    if seed < 0:
        raise ValueError(f"The seed must be 0 or more, not {seed}.")
    return _built(pairings, seed, scenes_per_digit, test_pairings, fraction, unpaired)


@functools.lru_cache(maxsize=1)
def _built(pairings, seed, scenes_per_digit, test_pairings, fraction, unpaired) -> MultimodalData:
    scans, label = load_digits(return_X_y=True)
    scans = scans.reshape(-1, 8, 8).astype(np.float32) / 16
    train, test = split_rows(scans, label)
    data = MultimodalData(
        name="digits",
        modalities=MODALITIES,
        train=_part(
            scans[train],
            label[train],
            "train",
            pairings,
            scenes_per_digit,
            np.random.default_rng([seed, 0]),
            fraction,
            unpaired,
        ),
        test=_part(scans[test], label[test], "test", test_pairings, test_pairings, np.random.default_rng([seed, 1])),
        class_names=text.DIGIT_WORDS,
        sources={"digits": f"scikit-learn: {len(train):,} training and {len(test):,} test scans"},
        paired_by_class=True,
    )
    for split in (data.train, data.test):
        for array in (*split.pools.values(), *split.rows.values(), *(split.mask or {}).values(), split.label):
            array.flags.writeable = False
    return data


def scene_scan(split: Split) -> np.ndarray:
    """Return row of the `digit` pool whose scan each scene of the `scene` pool shows, int64 `[scenes]`."""
    return np.arange(len(split.pools["scene"])) % len(split.pools["digit"])


def split_rows(scans: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows for training and for testing, stratified by class; equal scans stay on one side, whatever their label.

    Args:
      scans: `[N, 8, 8]`.
      label: integers `[N]`.

    Returns:
      Rows of the training part and of the test part (397, and more where a test scan has duplicates), each ascending.
    """
    _, first, scan_id = np.unique(scans.reshape(len(scans), -1), axis=0, return_index=True, return_inverse=True)
    _, test_ids = train_test_split(np.arange(len(first)), test_size=TEST_SCANS, stratify=label[first], random_state=SPLIT_SEED)
    in_test = np.isin(scan_id.ravel(), test_ids)
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)


def photographs(part: str) -> np.ndarray:
    """The region of both photographs for the part 'train' or 'test', at half size, in 0..1: float32 `[2, 213, columns, 3]`."""
    photos = np.stack(load_sample_images().images)[:, :426].astype(np.float32) / 255
    halved = photos.reshape(2, 213, 2, 320, 2, 3).mean(axis=(2, 4))
    return halved[:, :, PHOTO_COLUMNS[part]]


def enlarge(scans: np.ndarray) -> np.ndarray:
    """Return the scans `[n, 8, 8]` in 0..1, enlarged smoothly: uint8 `[n, 28, 28, 1]`."""
    centre = np.full(len(scans), DIGIT_SIZE / 2, np.float32)
    size = np.full(len(scans), DIGIT_SIZE, np.float32)
    weights = _interpolation(centre, size, DIGIT_SIZE)
    return _to_uint8(weights @ scans @ weights.swapaxes(1, 2))[..., None]


def draw_scenes(scans: np.ndarray, photos: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return one scene of each scan: it is laid in one colour over a piece of a photograph, at a random size and position.

    Args:
      scans: `[n, 8, 8]` in 0..1, the ink at each point.
      photos: `[k, rows, columns, 3]` in 0..1.
      rng: source of all choices, the same number of draws whatever the scans.

    Returns:
      uint8 `[n, 32, 32, 3]`.
    """
    ground = _grounds(len(scans), photos, rng)
    ink = _placed_ink(scans, rng)[..., None]
    colour = _colours(ground.mean(axis=(1, 2)), rng)[:, None, None]
    return _to_uint8(ground + ink * (colour - ground))


def _part(scans, label, part, pairings, scenes_per_digit, rng, fraction=1.0, unpaired=False) -> Split:
    """Return one part of the data: its pools and who is paired with whom."""
    photos = photographs(part)
    rounds = min(scenes_per_digit, pairings)
    scenes = np.concatenate([draw_scenes(scans, photos, rng) for _ in range(rounds)])
    words, word_label = text.digit_word_pool()
    kept = pairing.keep_fraction(label, fraction, rng) if fraction < 1 else np.arange(len(label))
    rows, paired_label = pairing.pair_by_class({"digit": label[kept], "word": word_label}, pairings, rng)
    # Pairing p takes the partner's scene of round p, and begins again after the last round.
    scene_round = np.repeat(np.arange(pairings) % rounds, len(kept))
    scene_rows = scene_round * len(label) + kept[pairing.pair_with_others(label[kept], pairings, rng)]
    split = Split(
        pools={"digit": enlarge(scans), "scene": scenes, "word": words},
        rows={"digit": kept[rows["digit"]], "scene": scene_rows, "word": rows["word"]},
        label=paired_label,
    )
    labels = {"digit": label, "scene": np.tile(label, rounds), "word": word_label}
    return pairing.with_single_values(split, labels) if unpaired else split


def _grounds(n, photos, rng) -> np.ndarray:
    """Return random pieces of the photographs, calmed towards their mean colour, tinted and in shade: [n, 32, 32, 3] in 0..1.

    House walls are calmer than trees and petals, and two photographs have few hues: hence the first two changes. Shade,
    because numbers are lighter than the ground here: where they may be either, the median scene of a class shows nothing.
    """
    pieces = np.lib.stride_tricks.sliding_window_view(photos, (SCENE_SIZE, SCENE_SIZE), axis=(1, 2))
    place = tuple(rng.integers(0, pieces.shape[:3], size=(n, 3)).T)
    ground = pieces[place].transpose(0, 2, 3, 1)
    mean = ground.mean(axis=(1, 2), keepdims=True)
    calm = _uniform(rng, 0.3, 0.9, (n, 1, 1, 1))
    shade = _uniform(rng, 0.15, 0.45, (n, 1, 1, 1)) / np.maximum(mean.mean(axis=-1, keepdims=True), 0.05)
    tint = _uniform(rng, -0.1, 0.1, (n, 1, 1, 3))
    return np.clip((mean + calm * (ground - mean)) * shade + tint, 0, 1)


def _placed_ink(scans, rng) -> np.ndarray:
    """Return the scans at a random size and place, wholly inside the scene, with the sharp strokes of a sign: [n, 32, 32]."""
    height = _uniform(rng, 24, 32, len(scans))
    width = height * _uniform(rng, 0.75, 1.0, len(scans))
    by_row, by_column = (
        _interpolation(_uniform(rng, size / 2, SCENE_SIZE - size / 2, len(scans)), size, SCENE_SIZE) for size in (height, width)
    )
    return np.clip((by_row @ scans @ by_column.swapaxes(1, 2) - 0.3) * 2.5, 0, 1)


def _colours(ground, rng) -> np.ndarray:
    """A colour for each mean ground colour [n, 3], lighter by 0.3 to 0.7, give or take 0.15 in each channel: [n, 3]."""
    n = len(ground)
    difference = _uniform(rng, 0.3, 0.7, (n, 1)) + _uniform(rng, -0.15, 0.15, (n, 3))
    return np.clip(ground + difference, 0, 1).astype(np.float32)


def _interpolation(centre, size, pixels) -> np.ndarray:
    """Return weights of the 8 scan lines in each of `pixels` lines, a scan being `size` pixels wide around `centre`.

    Keys' cubic kernel (a = -1/2): smooth, through the scan's own values, and zero outside the scan.

    Args:
      centre, size: in pixels, `[n]`.

    Returns:
      float32 `[n, pixels, 8]`.
    """
    at = (np.arange(pixels) + 0.5 - centre[:, None]) * (8 / size[:, None]) + 3.5
    d = np.abs(at[:, :, None] - np.arange(8)).astype(np.float32)
    near, far = (1.5 * d - 2.5) * d * d + 1, ((-0.5 * d + 2.5) * d - 4) * d + 2
    return np.where(d < 1, near, np.where(d < 2, far, 0)).astype(np.float32)


def _uniform(rng, low, high, shape) -> np.ndarray:
    return rng.uniform(low, high, shape).astype(np.float32)


def _to_uint8(values) -> np.ndarray:
    """0..1 to 0..255, rounded; what interpolation puts outside is cut off."""
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


DIGITS = DatasetEntry(
    lambda config: load(config.pairings or 20, config.data_seed, fraction=config.data_fraction, unpaired=config.unpaired_pools),
    licence=(
        "Scans: Optical Recognition of Handwritten Digits (Alpaydin, Kaynak 1998, UCI repository), as scikit-learn carries "
        "them. Photographs: china.jpg by danielbuechele and flower.jpg by vultilion, CC BY 2.0.",
    ),
    networks={"digit": mnist, "scene": svhn, "word": text_networks},
    classifiers={"digit": classifiers.mnist, "scene": classifiers.svhn, "word": classifiers.text},
    adversarial={"digit": adversarial.mnist, "scene": adversarial.svhn, "word": adversarial.tokens},
)
