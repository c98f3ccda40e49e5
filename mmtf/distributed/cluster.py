"""The workers of one run, each a process of its own, as the environment variable TF_CONFIG names them; and how they meet.

TensorFlow waits for a worker that never comes without an end, and deaf to Ctrl-C. So the workers meet before it starts, on the
ports that it will use.
"""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import time

from mmtf.errors import UserError

# Pods and machines of one job may be started minutes apart.
SECONDS_TO_MEET = 600.0
SECONDS_OF_A_MESSAGE = 20.0
LONGEST_MESSAGE = 65_536
EXAMPLE = '{"cluster": {"worker": ["host0:12345", "host1:12345"]}, "task": {"type": "worker", "index": 0}}'


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Which workers there are, and which of them this process is.

    Attributes:
      addresses: `host:port` of every worker, the chief's first. index: of this process; the chief is 0.
    """

    addresses: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    def named(self, index: int) -> str:
        return f"worker {index} ({self.addresses[index]})"


def read_cluster(text: str | None = None) -> Cluster | None:
    """Return the cluster of TF_CONFIG; None where it names no other worker, or is not set.

    Args:
      text: in place of the environment variable.

    Raises:
      UserError: TF_CONFIG is not what TensorFlow's MultiWorkerMirroredStrategy takes.
    """
    text = os.environ.get("TF_CONFIG", "") if text is None else text
    if not text.strip():
        return None
    parts = _object(text)
    jobs = parts.get("cluster") or {}
    _check_jobs(jobs)
    addresses = tuple(address for job in ("chief", "worker") for address in jobs.get(job, ()))
    kind, index = _task(parts, jobs)
    if len(addresses) == 1:
        return None
    before = len(jobs.get("chief", ())) if kind == "worker" else 0
    return Cluster(addresses, before + index)


def meet(cluster: Cluster, flags: str, seconds: float = SECONDS_TO_MEET) -> None:
    """Return on every worker when all are there.

    Args:
      flags: what must be the same on all of them.
      seconds: how long to wait for the others.

    Raises:
      UserError: on every worker, where one did not come or has other flags; on this one, where its port is in use.
    """
    if cluster.is_chief:
        _receive(cluster, flags, time.monotonic() + seconds)
    else:
        # Held until TensorFlow takes it over: nobody else should have it.
        with _listening(cluster):
            _report(cluster, flags, time.monotonic() + seconds)


def _receive(cluster: Cluster, flags: str, end: float) -> None:
    """The chief's side: every other worker says its number and flags, and hears "" or what is wrong."""
    connected: dict[int, socket.socket] = {}
    problem = ""
    with _listening(cluster) as server:
        while len(connected) < len(cluster.addresses) - 1 and not problem:
            server.settimeout(max(end - time.monotonic(), 0.01))
            try:
                connection, _ = server.accept()
            except TimeoutError:
                missing = [cluster.named(i) for i in range(1, len(cluster.addresses)) if i not in connected]
                problem = f"These workers did not come in time: {', '.join(missing)}. Start all of them within minutes."
                break
            said = _heard(connection)
            if said is None:
                connection.close()
                continue
            connected[said["worker"]] = connection
            problem = _difference(cluster, flags, said)
        for connection in connected.values():
            with connection:
                connection.sendall(json.dumps({"problem": problem}).encode() + b"\n")
    if problem:
        raise UserError(problem)


def _report(cluster: Cluster, flags: str, end: float) -> None:
    host, port = _host_and_port(cluster.addresses[0])
    words = {"worker": cluster.index, "addresses": list(cluster.addresses), "flags": flags}
    answer = None
    while answer is None:
        left = end - time.monotonic()
        if left <= 0:
            raise UserError(
                f"The chief, {cluster.named(0)}, did not answer in time. Start it, check its address in TF_CONFIG and that its "
                "port is open to this machine, then start all workers again."
            )
        try:
            with socket.create_connection((host, port), timeout=min(left, 5.0)) as connection:
                connection.sendall(json.dumps(words).encode() + b"\n")
                connection.settimeout(left)
                answer = _line(connection)
        except OSError:
            pass
        if answer is None:
            time.sleep(0.2)
    if answer["problem"]:
        raise UserError(answer["problem"])


def _heard(connection: socket.socket) -> dict | None:
    """Return what a worker says; None of somebody who is none."""
    connection.settimeout(SECONDS_OF_A_MESSAGE)
    try:
        said = _line(connection)
    except OSError:
        return None
    return said if said and {"worker", "addresses", "flags"} <= set(said) else None


def _line(connection: socket.socket) -> dict | None:
    with connection.makefile("rb") as lines:
        try:
            said = json.loads(lines.readline(LONGEST_MESSAGE))
        except ValueError:
            return None
    return said if isinstance(said, dict) else None


def _difference(cluster: Cluster, flags: str, said: dict) -> str:
    index = said["worker"]
    if tuple(said["addresses"]) != cluster.addresses:
        return f"Worker {index} has another cluster in its TF_CONFIG: {', '.join(said['addresses'])}. All must have the same."
    if said["flags"] == flags:
        return ""
    mine, other = json.loads(flags), json.loads(said["flags"])
    names = sorted(name for name in mine.keys() | other.keys() if mine.get(name) != other.get(name))
    shown = "; ".join(f"--{name} is {mine.get(name)!r} and {other.get(name)!r}" for name in names)
    return f"The chief and {cluster.named(index)} were started with different flags: {shown}. Give all workers the same."


def _listening(cluster: Cluster) -> socket.socket:
    """Return this worker's port, taken."""
    _, port = _host_and_port(cluster.addresses[cluster.index])
    try:
        return socket.create_server(("", port), backlog=len(cluster.addresses))
    except OSError as error:
        raise UserError(
            f"Port {port}, which TF_CONFIG gives {cluster.named(cluster.index)}, cannot be used on this machine "
            f"({error.strerror}); end what uses it, or choose another port in every worker's TF_CONFIG."
        ) from error


def _object(text: str) -> dict:
    try:
        parts = json.loads(text)
    except ValueError as error:
        raise UserError(f"TF_CONFIG is not JSON ({error}); it should be like {EXAMPLE}") from None
    if not isinstance(parts, dict) or not isinstance(parts.get("cluster") or {}, dict):
        raise UserError(f"TF_CONFIG must be an object with a 'cluster' and a 'task', like {EXAMPLE}")
    if not parts.get("cluster"):
        raise UserError(f"TF_CONFIG names no cluster; it should be like {EXAMPLE}, or not be set at all.")
    return parts


def _check_jobs(jobs: dict) -> None:
    unknown = sorted(set(jobs) - {"chief", "worker", "ps", "evaluator"})
    if unknown:
        raise UserError(f"TF_CONFIG's cluster has {unknown[0]!r}; mmtf knows 'chief' and 'worker'.")
    if jobs.get("ps"):
        raise UserError("TF_CONFIG's cluster has parameter servers ('ps'); mmtf trains on workers alone. Start none.")
    every = [address for job in ("chief", "worker", "evaluator") for address in _addresses(jobs, job)]
    for address in every:
        _host_and_port(address)
    repeated = sorted({address for address in every if every.count(address) > 1})
    if repeated:
        raise UserError(f"TF_CONFIG names {repeated[0]} twice; every worker needs an address of its own.")
    if len(jobs.get("chief", ())) > 1:
        raise UserError(f"TF_CONFIG's cluster has {len(jobs['chief'])} chiefs; there can be one.")


def _addresses(jobs: dict, job: str) -> list:
    addresses = jobs.get(job, [])
    if not isinstance(addresses, list):
        raise UserError(f"TF_CONFIG's {job!r} must be a list of 'host:port', not {addresses!r}.")
    return addresses


def _host_and_port(address) -> tuple[str, int]:
    host, _, port = str(address).rpartition(":")
    if not (isinstance(address, str) and host and port.isdecimal() and 0 < int(port) < 65_536):
        raise UserError(f"TF_CONFIG has the address {address!r}; wanted 'host:port', such as 'host0:12345'.")
    return host.strip("[]"), int(port)


def _task(parts: dict, jobs: dict) -> tuple[str, int]:
    """Return type and index of this process."""
    task = parts.get("task")
    if not isinstance(task, dict) or not {"type", "index"} <= set(task):
        raise UserError(f"TF_CONFIG must say which task this process is, as 'type' and 'index', like {EXAMPLE}")
    kind, index = task["type"], task["index"]
    if kind not in ("chief", "worker"):
        raise UserError(f"TF_CONFIG's task is of type {kind!r}; mmtf trains as 'chief' or 'worker'. Start no other.")
    if not str(index).isdecimal() or int(index) >= len(jobs.get(kind, ())):
        raise UserError(f"TF_CONFIG's task is {kind} {index}, but its cluster has {len(jobs.get(kind, ()))} of type {kind!r}.")
    return kind, int(index)
