"""A small data set of pictures, names and numbers, each of which shows an example's class."""

import numpy as np

from mmtf.data import from_arrays

NAMES = ("picture", "words", "columns")
CLASSES, TRAINING, TEST = 4, 90, 60


def values():
    """And the classes."""
    count = TRAINING + TEST
    rng, label = np.random.default_rng(0), np.arange(count) % CLASSES
    colours, sizes = np.array(["red", "green", "blue", "grey"]), np.array(["small", "large"])
    picture = rng.integers(0, 60, (count, 3, 3)) + 48 * label[:, None, None]
    words = np.stack([colours[label], sizes[rng.integers(0, 2, count)]], axis=1)
    columns = np.eye(CLASSES)[label][:, :3] + 0.2 * rng.normal(size=(count, 3))
    return {"picture": picture.astype(np.uint8), "words": words, "columns": columns}, label


def in_test():
    return np.arange(TRAINING + TEST) >= TRAINING


def arrays(label=lambda classes: classes):
    """label: what stands for the classes."""
    given, classes = values()
    return from_arrays(given, label(classes), test=in_test())


def write(folder):
    """What `--dataset=arrays` reads."""
    folder.mkdir()
    given, classes = values()
    for name, array in (given | {"labels": classes, "test": in_test()}).items():
        np.save(folder / f"{name}.npy", array)
    return folder
