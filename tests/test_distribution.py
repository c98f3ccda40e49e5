"""Which strategy trains, what TF_CONFIG may say, how workers meet, and whose rows each of them gathers."""

import json
import re
import socket
import threading

import numpy as np
import pytest
import tensorflow as tf
from checkout import ROOT
from ports import free_ports

from mmtf import cluster, distribution, train
from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
from mmtf.data import pipeline
from mmtf.data.dataset import Split
from mmtf.errors import UserError

TWO = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}


def changed(**parts):
    return json.dumps(TWO | parts)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "TF_CONFIG is not JSON"),
        ("[]", "must be an object with a 'cluster'"),
        ("{}", "names no cluster"),
        (changed(cluster={"worker": "a:1"}), "'worker' must be a list"),
        (changed(cluster={"worker": ["a:1", "b"]}), "address 'b'; wanted 'host:port'"),
        (changed(cluster={"worker": ["a:1", "b:70000"]}), "address 'b:70000'"),
        (changed(cluster={"worker": ["a:1", "a:1"]}), "names a:1 twice"),
        (changed(cluster={"worker": ["a:1", "b:2"], "boss": ["c:3"]}), "has 'boss'; mmtf knows 'chief' and 'worker'"),
        (changed(cluster={"worker": ["a:1", "b:2"], "ps": ["c:3"]}), "parameter servers"),
        (changed(cluster={"worker": ["a:1"], "chief": ["c:3", "d:4"]}), "2 chiefs; there can be one"),
        (changed(task={"type": "worker"}), "must say which task"),
        (changed(task={"type": "evaluator", "index": 0}), "of type 'evaluator'"),
        (changed(task={"type": "worker", "index": 2}), "task is worker 2, but its cluster has 2"),
        (changed(task={"type": "chief", "index": 0}), "task is chief 0, but its cluster has 0"),
    ],
)
def test_what_tf_config_cannot_say_is_refused(monkeypatch, text, message):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match=message):
        distribution.make_strategy("auto")


def test_the_chief_is_the_first_worker():
    chief = {"cluster": {"worker": ["a:1", "b:2"], "chief": ["c:3"]}, "task": {"type": "worker", "index": "1"}}
    found = cluster.read_cluster(json.dumps(chief))
    assert (found.addresses, found.index, found.is_chief) == (("c:3", "a:1", "b:2"), 2, False)
    assert cluster.read_cluster(changed(task={"type": "worker", "index": 0})).is_chief
    assert cluster.read_cluster(changed(cluster={"worker": ["a:1"]}, task={"type": "worker", "index": 0})) is None
    assert cluster.read_cluster("") is None


def test_the_document_s_lines_make_a_cluster_of_sagemaker_s_hosts(monkeypatch):
    text = (ROOT / "docs/scaling.md").read_text()
    monkeypatch.setenv("SM_HOSTS", '["algo-1", "algo-2"]')
    monkeypatch.setenv("SM_CURRENT_HOST", "algo-2")
    monkeypatch.setenv("TF_CONFIG", "")
    exec(text.split("```python\n")[1].split("```")[0], {})
    assert cluster.read_cluster() == cluster.Cluster(("algo-1:12345", "algo-2:12345"), 1)
    shown = [line.split("'")[1] for line in text.splitlines() if "export TF_CONFIG" in line]
    assert [cluster.read_cluster(line) for line in shown] == [
        cluster.Cluster(("host0:12345", "host1:12345"), index) for index in (0, 1)
    ]


@pytest.mark.parametrize("name", ["one", "mirrored", "tpu"])
def test_several_workers_do_not_train_a_run_each(monkeypatch, name):
    monkeypatch.setenv("TF_CONFIG", json.dumps(TWO))
    with pytest.raises(UserError, match=f"--strategy={name} on 2 workers.*Set --strategy=multi_worker, or unset TF_CONFIG"):
        distribution.make_strategy(name)


def test_several_workers_need_tf_config(tmp_path):
    with pytest.raises(UserError, match="needs the environment variable TF_CONFIG.*docs/scaling.md"):
        train.train(Config(train=TrainConfig(strategy="multi_worker")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_batch_names_workers_and_devices(monkeypatch):
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    monkeypatch.setattr(distribution, "several_workers", lambda strategy: True)
    monkeypatch.setattr(distribution, "read_cluster", lambda: cluster.read_cluster(json.dumps(TWO)))
    wanted = "--batch_size=15 cannot be shared evenly by 2 workers with 2 devices; choose a multiple of 2"
    with pytest.raises(UserError, match=wanted):
        train._check_batch(Config(train=TrainConfig(batch_size=15)), two, smallest=1)


def test_one_device_can_be_mirrored(monkeypatch, caplog):
    one = [tf.config.LogicalDevice("CPU:0", "CPU")]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: one if kind == "CPU" else [])
    with caplog.at_level("INFO", "mmtf"):
        strategy = distribution.make_strategy("mirrored")
    assert strategy.num_replicas_in_sync == 1
    assert "does what --strategy=one does" in caplog.text
    assert isinstance(distribution.make_strategy("auto"), tf.distribute.OneDeviceStrategy)


# ---- meeting -----------------------------------------------------------------------------------------------------------


def meeting(flags, seconds=20.0, count=2, come=None):
    """What every worker of a cluster says in the end: None, or the message."""
    ports = free_ports(count)
    addresses = tuple(f"localhost:{port}" for port in ports)
    said = {}

    def worker(index):
        try:
            said[index] = cluster.meet(cluster.Cluster(addresses, index), flags[index], seconds)
        except UserError as error:
            said[index] = str(error)

    threads = [threading.Thread(target=worker, args=(i,)) for i in range(count) if come is None or i in come]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return said


def test_workers_with_the_same_flags_meet():
    assert meeting(['{"seed": 1}'] * 3, count=3) == {0: None, 1: None, 2: None}


def test_other_flags_are_refused_by_all():
    said = meeting(['{"seed": 1, "beta": 5.0}', '{"seed": 1, "beta": 5.0}', '{"seed": 2, "beta": 5.0}'], count=3)
    refused = [text for text in said.values() if text]
    assert len(refused) >= 2
    assert all("started with different flags: --seed is 1 and 2" in text for text in (said[0], said[2]))


@pytest.mark.parametrize(
    ("come", "message"),
    [
        ((0,), r"These workers did not come in time: worker 1 \(localhost"),
        ((1,), r"The chief, worker 0 \(localhost.*did not ans"),
    ],
)
def test_nobody_waits_without_an_end(come, message):
    said = meeting(["{}"] * 2, seconds=1.0, come=come)
    assert list(said) == list(come)
    assert re.match(message, said[come[0]])


def test_a_port_in_use_is_said():
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        for index in (0, 1):
            addresses = (f"localhost:{port}", "b:1") if index == 0 else ("b:1", f"localhost:{port}")
            with pytest.raises(UserError, match=f"Port {port}, which TF_CONFIG gives worker {index}.*cannot be used"):
                cluster.meet(cluster.Cluster(addresses, index), "{}", 1.0)


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


def test_a_game_s_turns_are_shared_out_too():
    whole = [b["values"]["x"] for b in pipeline.turns(example_split(), 4, 0, 0, 3, single=False)]
    parts = [
        [b["values"]["x"] for b in pipeline.turns(example_split(), 4, 0, 0, 3, single=False, share=pipeline.Share(i, 1, 2))]
        for i in (0, 1)
    ]
    for batch, *both in zip(whole, *parts, strict=True):
        np.testing.assert_array_equal(tf.concat(both, 0), batch)


def test_devices_get_the_rows_that_one_device_would():
    strategy = distribution.make_strategy("mirrored")
    data = distribution.per_replica(strategy, lambda *s: pipeline.batches(example_split(), 10, 0, 3, 4, pipeline.Share(*s)))
    parts = [np.concatenate(strategy.experimental_local_results(b["values"]["x"])) for b in data]
    np.testing.assert_array_equal(parts, values(pipeline.batches(example_split(), 10, 0, 3, 4)))


def test_what_cannot_be_shared_evenly_is_an_error_at_the_call():
    with pytest.raises(ValueError, match="batch_size 9 cannot be shared evenly by 2 replicas"):
        pipeline.batches(example_split(), 9, 0, 0, 1, pipeline.Share(0, 1, 2))


# ---- TPU ---------------------------------------------------------------------------------------------------------------


def test_a_tpu_that_is_not_there_is_said_at_once(monkeypatch):
    monkeypatch.delenv("TPU_NAME", raising=False)
    with pytest.raises(UserError, match="needs --tpu=local on a TPU VM"):
        distribution.make_strategy("tpu")
    with pytest.raises(UserError, match="--strategy=tpu: no TPU 'local' can be used"):
        distribution.make_strategy("tpu", "local")


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
    assert distribution.make_strategy("tpu", flag) == "TPUStrategy"
    assert done == [
        ("TPUClusterResolver", (), {"tpu": wanted}),
        ("experimental_connect_to_cluster", ("TPUClusterResolver",), {}),
        ("initialize_tpu_system", ("TPUClusterResolver",), {}),
        ("TPUStrategy", ("TPUClusterResolver",), {}),
    ]


def test_training_runs_in_the_scope_of_the_strategy_that_tpu_gives(monkeypatch, tmp_path):
    """Two logical devices stand in for a TPU's cores: variables are theirs, and the steps are run on both."""
    cores = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice())
    monkeypatch.setattr(distribution, "_on_tpu", lambda name: cores if name == "local" else None)
    seen = []
    honest = train.compile_model

    def compile_model(model, *rest):
        seen.append((model.distribute_strategy, tf.distribute.get_strategy()))
        return honest(model, *rest)

    monkeypatch.setattr(train, "compile_model", compile_model)
    how = {"batch_size": 16, "steps": 3, "steps_per_epoch": 2, "steps_per_execution": 2, "panels_every": 0}
    settings = Config(
        DataConfig(pairings=1, modalities="digit,word"),
        ModelConfig(model="mmvae", shared_dim=4),
        TrainConfig(strategy="tpu", tpu="local", **how),
    )
    run = train.train(settings, tmp_path / "run")
    assert seen == [(cores, cores)]
    assert run.read_json("training.json")["steps"] == 3


def test_a_tpu_s_name_without_the_strategy_does_nothing():
    with pytest.raises(UserError, match="--tpu=mine does nothing without --strategy=tpu"):
        distribution.make_strategy("one", "mine")
