"""What TF_CONFIG may say, and how the workers that it names meet."""

import json
import re
import socket
import threading

import pytest
from checkout import ROOT
from ports import free_ports
from waiting import LONG

from mmtf.distributed import cluster, strategies
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
        strategies.make_strategy("auto")


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


# ---- meeting -----------------------------------------------------------------------------------------------------------


def meeting(flags, seconds, come=None):
    """What every worker of a cluster says in the end: None, or the message.

    Args: seconds: how long each of them waits. come: those that are there; by default all.
    """
    ports = free_ports(len(flags))
    addresses = tuple(f"localhost:{port}" for port in ports)
    said = {}

    def worker(index):
        try:
            said[index] = cluster.meet(cluster.Cluster(addresses, index), flags[index], seconds[index])
        except UserError as error:
            said[index] = str(error)

    threads = [threading.Thread(target=worker, args=(i,)) for i in come or range(len(flags))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    return said


def test_workers_with_the_same_flags_meet():
    assert meeting(['{"seed": 1}'] * 3, (LONG,) * 3) == {0: None, 1: None, 2: None}


def test_other_flags_are_refused_by_all():
    # A worker that comes when the others have left already looks for them until its time is up, as worker 1 may.
    flags = ['{"seed": 1, "beta": 5.0}', '{"seed": 1, "beta": 5.0}', '{"seed": 2, "beta": 5.0}']
    said = meeting(flags, (LONG, 5.0, LONG))
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
    said = meeting(["{}"] * 2, (1.0, 1.0), come)
    assert list(said) == list(come)
    assert re.match(message, said[come[0]])


def test_a_port_in_use_is_said():
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        for index in (0, 1):
            addresses = (f"localhost:{port}", "b:1") if index == 0 else ("b:1", f"localhost:{port}")
            with pytest.raises(UserError, match=f"Port {port}, which TF_CONFIG gives worker {index}.*cannot be used"):
                cluster.meet(cluster.Cluster(addresses, index), "{}", 1.0)
