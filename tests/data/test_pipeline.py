"""Batches: every example once an epoch, resumable, ready for tf.distribute."""

import numpy as np
import pytest
import tensorflow as tf

from mmtf.data import pipeline
from mmtf.data.dataset import Split

N = 23


def make_split(mask=True):
    """N examples whose values, label and mask tell which example they are."""
    return Split(
        pools={"image": np.arange(5 * 4, dtype=np.uint8).reshape(5, 2, 2), "word": np.arange(N, dtype=np.int32)[:, None]},
        rows={"image": np.arange(N) % 5, "word": np.arange(N)[::-1].copy()},
        label=np.arange(N),
        mask={"image": np.arange(N) % 3 == 0, "word": np.arange(N) % 2 == 0} if mask else None,
    )


def labels(**changes):
    arguments = {"split": make_split(), "batch_size": 5, "seed": 0, "first_step": 0, "num_steps": N} | changes
    return np.array([batch["label"].numpy() for batch in pipeline.batches(**arguments)])


def test_an_epoch_visits_each_example_once_even_if_it_ends_inside_a_batch():
    epochs = labels(num_steps=3 * N).reshape(-1, N)
    assert len(epochs) == 15
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(N), (15, 1)))
    assert len(np.unique(epochs, axis=0)) == 15


def test_resuming_equals_skipping():
    np.testing.assert_array_equal(labels(first_step=7, num_steps=9), labels(num_steps=16)[7:])


def test_a_late_step_is_reached_at_once():
    late = labels(first_step=N * 10**12, num_steps=N).reshape(-1, N)  # a shuffle buffer would take years
    np.testing.assert_array_equal(np.sort(late, axis=1), np.tile(np.arange(N), (5, 1)))


def test_values_label_and_mask_of_an_example_stay_together():
    split = make_split()
    for batch in pipeline.batches(split, 6, 0, 0, 8):
        index = batch["label"].numpy()
        for name, value in split.take(index).items():
            assert batch["values"][name].dtype == value.dtype
            np.testing.assert_array_equal(batch["values"][name], value)
        for name, mask in split.mask.items():
            np.testing.assert_array_equal(batch["mask"][name], mask[index])


def test_shapes_are_static_and_no_mask_means_no_mask():
    spec = pipeline.batches(make_split(mask=False), 6, 0, 0, 1).element_spec
    assert set(spec) == {"values", "label"}
    assert spec["values"]["image"] == tf.TensorSpec([6, 2, 2], tf.uint8)
    assert spec["label"] == tf.TensorSpec([6], tf.int64)


def test_batch_size_may_be_the_whole_split():
    assert sorted(labels(batch_size=N, num_steps=1)[0]) == list(range(N))


def test_seeds_and_epochs_do_not_repeat_after_256():
    """index_shuffle itself uses 8 bits of each seed word, so that seeds 0 and 256 would give one order."""
    position = tf.range(1000, dtype=tf.int64)
    orders = [pipeline.shuffled_index(position + 1000 * e, 1000, s).numpy() for s, e in [(0, 0), (256, 0), (0, 256)]]
    assert len(np.unique(orders, axis=0)) == 3


def test_the_order_is_as_even_as_a_random_one():
    """Examples 0..99 in the first 250 places of 1000 over 400 epochs: mean and variance of the hypergeometric law."""
    start_of = tf.function(lambda e: pipeline.shuffled_index(tf.range(250, dtype=tf.int64) + 1000 * e, 1000, 7))
    counts = [(start_of(tf.constant(e, tf.int64)).numpy() < 100).sum() for e in range(400)]
    variance = 250 * 0.1 * 0.9 * 750 / 999
    assert abs(np.mean(counts) - 25) < 4 * np.sqrt(variance / 400)
    assert abs(np.var(counts) / variance - 1) < 4 * np.sqrt(2 / 400)


def test_a_distributed_batch_is_the_global_batch_in_parts():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    split = Split({"x": np.arange(23)}, {"x": np.arange(23)}, np.arange(23))
    batches = pipeline.batches(split, 10, 0, 3, 4)
    parts = [strategy.experimental_local_results(b["label"]) for b in strategy.experimental_distribute_dataset(batches)]
    assert all(len(part) == 5 for both in parts for part in both)
    np.testing.assert_array_equal(np.reshape(parts, (4, 10)), [b["label"] for b in batches])


def test_in_order_is_the_split_in_order_with_a_short_last_batch():
    split = make_split()
    batches = list(pipeline.in_order(split, 10))
    assert [len(b["label"]) for b in batches] == [10, 10, 3]
    np.testing.assert_array_equal(np.concatenate([b["label"] for b in batches]), split.label)
    for name, value in split.take(slice(None)).items():
        np.testing.assert_array_equal(np.concatenate([b["values"][name] for b in batches]), value)
        np.testing.assert_array_equal(np.concatenate([b["mask"][name] for b in batches]), split.mask[name])
    assert "mask" not in next(pipeline.in_order(make_split(mask=False), 4))


def test_in_order_stops_at_the_limit():
    assert [len(b["label"]) for b in pipeline.in_order(make_split(), 10, limit=12)] == [10, 2]
    assert sum(len(b["label"]) for b in pipeline.in_order(make_split(), 10, limit=99)) == N


def test_bad_arguments_are_errors_at_the_call():
    split = make_split()
    with pytest.raises(ValueError, match="batch_size 24 exceeds the 23 examples of this split; lower it"):
        pipeline.batches(split, 24, 0, 0, 1)
    for call in (lambda: pipeline.batches(split, 0, 0, 0, 1), lambda: pipeline.in_order(split, 0)):
        with pytest.raises(ValueError, match="batch_size must be 1 or more, not 0"):
            call()
    with pytest.raises(ValueError, match="first_step and num_steps must be 0 or more, not -1 and 2"):
        pipeline.batches(split, 4, 0, -1, 2)
    with pytest.raises(ValueError, match="limit must be 1 or more"):
        pipeline.in_order(split, 4, limit=0)


def phase_split():
    """Ten complete examples of few letters and many numbers, and three that have a number alone."""
    pools = {"letter": np.arange(4, dtype=np.int32)[:, None], "number": np.arange(13, dtype=np.int32)[:, None]}
    rows = {"letter": np.r_[np.arange(10) % 4, 0, 0, 0], "number": np.arange(13)}
    mask = {"letter": np.arange(13) < 10, "number": np.ones(13, bool)}
    return Split(pools, rows, np.zeros(13, np.int64), mask)


def test_an_adversarial_model_gets_a_batch_for_each_turn_and_every_pair_stays_together():
    found = list(pipeline.phase_batches(phase_split(), 2, 0, 0, 5, single=False))
    assert len(found) == 5
    assert set(found[0]) == {"values"}
    letters, numbers = (np.concatenate([np.asarray(b["values"][n]).reshape(4) for b in found]) for n in ("letter", "number"))
    assert found[0]["values"]["letter"].shape == (2, 2, 1)
    np.testing.assert_array_equal(letters, numbers % 4)
    # Two epochs of the ten complete examples.
    np.testing.assert_array_equal(np.sort(numbers[:10]), np.arange(10))
    np.testing.assert_array_equal(np.sort(numbers[10:]), np.arange(10))


def test_single_values_are_all_that_the_split_has_each_equally_often():
    found = list(pipeline.phase_batches(phase_split(), 2, 0, 0, 13, single=True))
    counts = {
        name: np.bincount(np.concatenate([np.asarray(b["single"][name]).reshape(4) for b in found]))
        for name in ("letter", "number")
    }
    np.testing.assert_array_equal(counts["number"], np.full(13, 4))
    assert counts["letter"].sum() == 52
    assert counts["letter"].max() - counts["letter"].min() <= 4


def test_single_values_are_no_pairs():
    found = list(pipeline.phase_batches(phase_split(), 2, 0, 0, 13, single=True))
    letters, numbers = (np.concatenate([np.asarray(b["single"][n]).reshape(4) for b in found]) for n in ("letter", "number"))
    assert np.mean(letters == numbers % 4) < 0.6


def test_an_adversarial_model_resumes_where_it_was():
    whole = list(pipeline.phase_batches(phase_split(), 2, 0, 0, 6, single=True))
    rest = list(pipeline.phase_batches(phase_split(), 2, 0, 4, 2, single=True))
    for one, other in zip(whole[4:], rest, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)
