"""Which strategy trains, what its workers agree on, and whose rows each of them gathers.

Two threads stand in for two workers here; tests/distributed/test_workers.py has two processes.
"""

import json
import threading

import numpy as np
import pytest
import tensorflow as tf
import workers
from small_runs import arrays, config
from waiting import LONG

from mmtf.config import Config, TrainConfig
from mmtf.data import pipeline
from mmtf.data.dataset import Split
from mmtf.distributed import cluster, strategies
from mmtf.errors import UserError
from mmtf.verbs import train

ADDRESSES = ("a:1", "b:2")


@pytest.mark.parametrize("name", ["one", "mirrored", "tpu"])
def test_several_workers_do_not_train_a_run_each(monkeypatch, name):
    second = {"cluster": {"worker": ADDRESSES}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(second))
    with pytest.raises(UserError, match=f"--strategy={name} on 2 workers.*Set --strategy=multi_worker, or unset TF_CONFIG"):
        strategies.make_strategy(name)


def test_several_workers_need_tf_config(tmp_path):
    with pytest.raises(UserError, match="needs the environment variable TF_CONFIG.*docs/scaling.md"):
        train.train(Config(train=TrainConfig(strategy="multi_worker")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_batch_names_workers_and_devices(monkeypatch):
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    monkeypatch.setattr(strategies, "several_workers", lambda strategy: True)
    monkeypatch.setattr(strategies, "read_cluster", lambda: cluster.Cluster(ADDRESSES, 1))
    wanted = "--batch_size=15 cannot be shared evenly by 2 workers with 2 devices; choose a multiple of 2"
    with pytest.raises(UserError, match=wanted):
        train._check_batch(Config(train=TrainConfig(batch_size=15)), two, smallest=1)


def test_one_device_can_be_mirrored(monkeypatch, caplog):
    one = [tf.config.LogicalDevice("CPU:0", "CPU")]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: one if kind == "CPU" else [])
    with caplog.at_level("INFO", "mmtf"):
        strategy = strategies.make_strategy("mirrored")
    assert strategy.num_replicas_in_sync == 1
    assert "does what --strategy=one does" in caplog.text
    assert isinstance(strategies.make_strategy("auto"), tf.distribute.OneDeviceStrategy)


# ---- what the workers agree on -----------------------------------------------------------------------------------------


class Workers:
    """A strategy whose two workers are threads: what one of them adds up waits for the other."""

    def __init__(self, monkeypatch):
        self._own, self._said, self._together = threading.local(), {}, threading.Barrier(2, timeout=LONG)
        monkeypatch.setattr(strategies, "several_workers", lambda strategy: True)
        monkeypatch.setattr(strategies, "read_cluster", lambda: cluster.Cluster(ADDRESSES, self._own.index))

    def reduce(self, how, value, axis):
        assert (how, axis) == (tf.distribute.ReduceOp.SUM, None)
        self._said[self._own.index] = value
        self._together.wait()
        total = self._said[0] + self._said[1]
        self._together.wait()
        return total

    def both(self, act):
        """What each of them returns, or raises, as its type and its message."""
        found = [None, None]

        def worker(index):
            self._own.index = index
            try:
                found[index] = act(self, index)
            except Exception as error:
                found[index] = type(error), str(error)

        threads = [threading.Thread(target=worker, args=(index,)) for index in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found


def test_what_one_worker_finds_both_say(monkeypatch):
    pair = Workers(monkeypatch)
    for asked in ((False, False), (True, False), (False, True), (True, True)):
        found = pair.both(lambda strategy, index, asked=asked: strategies.any_worker(strategy, asked[index]))
        assert found == [any(asked)] * 2

    def act(strategy, index, failing):
        with strategies.agreed(strategy):
            if index in failing:
                raise ValueError(f"no disk in {index}")
        return "goes on"

    assert pair.both(lambda *given: act(*given, ())) == ["goes on"] * 2
    said = (UserError, "Worker 1 failed: no disk in 1"), (ValueError, "no disk in 1")
    assert pair.both(lambda *given: act(*given, (1,))) == list(said)
    assert pair.both(lambda *given: act(*given, (0, 1))) == [(ValueError, f"no disk in {i}") for i in (0, 1)]


def test_what_is_not_the_same_on_all_is_refused_by_all(monkeypatch):
    pair = Workers(monkeypatch)
    assert pair.both(lambda strategy, index: strategies.check_same(strategy, "It", "é")) == [None, None]
    first, second = pair.both(lambda strategy, index: strategies.check_same(strategy, "It", f"{index}é"))
    assert first == second
    assert first[0] is UserError
    assert first[1].startswith("It is 0é on worker 0 and 1é on worker 1. All need the same data")


def test_one_process_agrees_with_itself():
    strategy = strategies.make_strategy("one")
    assert [strategies.any_worker(strategy, flag) for flag in (False, True)] == [False, True]
    strategies.check_same(strategy, "It", "x")
    with pytest.raises(ValueError, match="^no disk$"), strategies.agreed(strategy):
        raise ValueError("no disk")


ABORTED = "In a while loop: Collective ops is aborted by: The peer is gone\nand more"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (tf.errors.UnavailableError(None, None, "Connection refused"), "Connection refused"),
        (tf.errors.InternalError(None, None, ABORTED), "The peer is gone"),
        (tf.errors.ResourceExhaustedError(None, None, "No memory"), None),
    ],
)
def test_a_worker_that_went_away_is_said_in_words(monkeypatch, error, reason):
    """And what is not about workers is left as it is, as everything is where there are no others."""
    for several in (False, True):
        monkeypatch.setattr(strategies, "several_workers", lambda strategy, several=several: several)
        kind, message = type(error), None
        if several and reason:
            kind, message = UserError, f"Another worker of this run stopped.*with --resume.*{reason}"
        with pytest.raises(kind, match=message), strategies.while_all_live(None):
            raise error


def test_the_chief_alone_writes(monkeypatch, tmp_path):
    monkeypatch.setattr(strategies, "is_chief", lambda: False)
    train.train(config(2, validation_examples=16, histograms_every=1), tmp_path / "run", data=arrays())
    assert not (tmp_path / "run").exists()


def test_an_execution_of_several_workers_does_what_keras_does(monkeypatch):
    """Four steps of three to an execution, the last of which ends with the data."""
    wanted = workers.vae(strategies.make_strategy("one"), "strata")
    monkeypatch.setattr(strategies, "several_workers", lambda strategy: True)
    found = workers.vae(strategies.make_strategy("mirrored"), "strata")
    workers.assert_as(found, wanted)


# ---- data --------------------------------------------------------------------------------------------------------------


def values(dataset):
    return [np.asarray(b["values"]["x"]) for b in dataset]


def example_split(rows=23):
    return Split({"x": np.arange(rows)}, {"x": np.arange(rows)}, None)


def test_workers_gather_their_own_rows_of_the_same_batches():
    """Two workers of two devices each; batches cross the ends of epochs."""
    whole = values(pipeline.batches(example_split(), 12, 5, 3, 6))
    parts = [values(pipeline.batches(example_split(), 12, 5, 3, 6, pipeline.Share(first, 2, 4))) for first in (0, 2)]
    assert [len(p) for p in parts] == [12, 12]
    assert {len(x) for part in parts for x in part} == {3}
    for step, batch in enumerate(whole):
        np.testing.assert_array_equal(np.concatenate([x for part in parts for x in part[2 * step : 2 * step + 2]]), batch)


def test_no_worker_gathers_the_rows_of_another(monkeypatch):
    asked, honest = [], pipeline._at

    def at(split, index):
        asked.extend([] if isinstance(index, slice) else index.tolist())
        return honest(split, index)

    monkeypatch.setattr(pipeline, "_at", at)
    mine = np.concatenate(values(pipeline.batches(example_split(), 12, 5, 0, 1, pipeline.Share(1, 1, 2))))
    assert sorted(asked) == sorted(mine)
    assert len(asked) == 6


def test_an_adversarial_model_s_turns_are_shared_out_too():
    whole = [b["values"]["x"] for b in pipeline.phase_batches(example_split(), 4, 0, 0, 3, single=False)]
    parts = [
        [
            b["values"]["x"]
            for b in pipeline.phase_batches(example_split(), 4, 0, 0, 3, single=False, share=pipeline.Share(i, 1, 2))
        ]
        for i in (0, 1)
    ]
    for batch, *both in zip(whole, *parts, strict=True):
        np.testing.assert_array_equal(tf.concat(both, 0), batch)


def test_devices_get_the_rows_that_one_device_would():
    strategy = strategies.make_strategy("mirrored")
    data = strategies.per_replica(strategy, lambda *s: pipeline.batches(example_split(), 10, 0, 3, 4, pipeline.Share(*s)))
    parts = [np.concatenate(strategy.experimental_local_results(b["values"]["x"])) for b in data]
    np.testing.assert_array_equal(parts, values(pipeline.batches(example_split(), 10, 0, 3, 4)))


def test_what_cannot_be_shared_evenly_is_an_error_at_the_call():
    with pytest.raises(ValueError, match="batch_size 9 cannot be shared evenly by 2 replicas"):
        pipeline.batches(example_split(), 9, 0, 0, 1, pipeline.Share(0, 1, 2))


# ---- TPU ---------------------------------------------------------------------------------------------------------------


def test_a_tpu_that_is_not_there_is_said_at_once(monkeypatch):
    monkeypatch.delenv("TPU_NAME", raising=False)
    with pytest.raises(UserError, match="needs --tpu=local on a TPU VM"):
        strategies.make_strategy("tpu")
    with pytest.raises(UserError, match="--strategy=tpu: no TPU 'local' can be used"):
        strategies.make_strategy("tpu", "local")


@pytest.mark.parametrize(("flag", "variable", "wanted"), [("mine", "other", "mine"), ("", "other", "other")])
def test_a_tpu_is_joined_as_tensorflow_documents(monkeypatch, flag, variable, wanted):
    """In order: the resolver of that name, the cluster, the system, the strategy."""
    done = []
    for where, name in (
        (tf.distribute.cluster_resolver, "TPUClusterResolver"),
        (tf.config, "experimental_connect_to_cluster"),
        (tf.tpu.experimental, "initialize_tpu_system"),
        (tf.distribute, "TPUStrategy"),
    ):
        monkeypatch.setattr(where, name, lambda *a, name=name, **k: done.append((name, a, k)) or name)
    monkeypatch.setenv("TPU_NAME", variable)
    assert strategies.make_strategy("tpu", flag) == "TPUStrategy"
    assert done == [
        ("TPUClusterResolver", (), {"tpu": wanted}),
        ("experimental_connect_to_cluster", ("TPUClusterResolver",), {}),
        ("initialize_tpu_system", ("TPUClusterResolver",), {}),
        ("TPUStrategy", ("TPUClusterResolver",), {}),
    ]


def test_training_runs_in_the_scope_of_the_strategy_that_tpu_gives(monkeypatch, tmp_path):
    """Two logical devices stand in for a TPU's cores: variables are theirs, and the steps are run on both."""
    cores = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice())
    monkeypatch.setattr(strategies, "_on_tpu", lambda name: cores if name == "local" else None)
    seen = []
    honest = train.compile_model

    def compile_model(model, *rest):
        seen.append((model.distribute_strategy, tf.distribute.get_strategy()))
        return honest(model, *rest)

    monkeypatch.setattr(train, "compile_model", compile_model)
    run = train.train(config(3, {"model": "mmvae"}, strategy="tpu", tpu="local"), tmp_path / "run", data=arrays())
    assert seen == [(cores, cores)]
    assert run.read_json("training.json")["steps"] == 3


def test_a_tpu_s_name_without_the_strategy_does_nothing():
    with pytest.raises(UserError, match="--tpu=mine does nothing without --strategy=tpu"):
        strategies.make_strategy("one", "mine")
