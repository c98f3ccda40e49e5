"""The tables that the papers print, and what each number is held against: a flag file, and a place in metrics.json.

`paper_tables.json` has the numbers as they are printed, `LAYOUTS` says where ours are. Places are keys joined by slashes, such
as `coherence/mnist<-svhn`; `epochs` is derived from the steps.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib.resources
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmtf.errors import UserError
from mmtf.report import flagfile, protocols
from mmtf.report.protocols import Measure

MODALITIES = {"M": "mnist", "S": "svhn", "T": "text"}
# Rows whose flag file is called otherwise.
STEMS = {"mmvae_iwae30": "mmvae_iw"}


@dataclasses.dataclass(frozen=True)
class Unit:
    """How a column's numbers are written: ours times `factor`; with how many decimals published ones and ours."""

    name: str
    factor: float
    printed: int
    ours: int


UNITS = {
    "accuracy": Unit("accuracy", 1, 2, 3),
    "percent": Unit("percent", 100, 2, 2),
    "percent, mean±std": Unit("percent", 100, 2, 2),
    "correlation": Unit("correlation", 1, 3, 3),
    "nats": Unit("nats", 1, 0, 1),
    "epochs": Unit("epochs", 1, 0, 2),
    "h:mm": Unit("seconds", 1, 0, 0),
}


@dataclasses.dataclass(frozen=True)
class Printed:
    """A published number in its column's unit (times in seconds), with its standard deviation where one is printed."""

    value: float
    deviation: float | None = None


@dataclasses.dataclass(frozen=True)
class Layout:
    """Flag files of a table, below configs/, with the row (and the column) in braces; and what each column measures."""

    flag_file: str
    columns: Mapping[str, Measure]


def _spelled(column: str) -> str:
    """`M<-S,T` as `mnist<-svhn,text`."""
    return re.sub("[MST]", lambda letter: MODALITIES[letter[0]], column)


def _table_2(folder_and_suffix: str) -> Layout:
    columns = {f"latent {letter}": protocols.latent(MODALITIES[letter]) for letter in "MS"}
    columns["joint"] = protocols.JOINT
    columns |= {f"cross {a}->{b}": protocols.cross(_spelled(f"{b}<-{a}")) for a, b in ("SM", "MS")}
    columns |= {f"synergy {letter}": protocols.synergy(_spelled(f"{letter}<-M,S")) for letter in "MS"}
    return Layout(folder_and_suffix, columns)


_SUBSETS = ("M", "S", "T", "M,S", "M,T", "S,T", "M,S,T")
_CROSSES = ("M<-S", "M<-T", "M<-S,T", "S<-M", "S<-T", "S<-M,T", "T<-M", "T<-S", "T<-M,S")
_TEXT = "mnist_svhn_text/{row}.cfg"
LAYOUTS = {
    "mmjsd/8": Layout(_TEXT, {"epochs": protocols.EPOCHS, "runtime": protocols.RUNTIME}),
    "mmjsd/9": Layout(_TEXT, {column: protocols.probe(_spelled(column)) for column in _SUBSETS}),
    "mmjsd/10": Layout(
        _TEXT, {"random": protocols.RANDOM} | {column: protocols.conditional(_spelled(column)) for column in _CROSSES}
    ),
    "mmjsd/11": Layout(_TEXT, {"log p(X)": protocols.LIKELIHOOD}),
    "mmali/1": Layout("multimnist/{row}_{column}.cfg", {count: protocols.latent("mnist_0") for count in "234"}),
    "mmali/2/100%": _table_2("mnist_svhn/{row}.cfg"),
    "mmali/2/20%": _table_2("mnist_svhn/{row}_20pct.cfg"),
    "mmali/3": Layout("mnist_svhn/mmali.cfg", protocols.CODES),
    "mmali/4": Layout("cub/{row}.cfg", protocols.CORRELATIONS),
}


@dataclasses.dataclass(frozen=True)
class Table:
    """A published table: numbers by row and column (None where the paper has none), and where ours are."""

    name: str
    title: str
    unit: str
    columns: tuple[str, ...]
    rows: Mapping[str, Mapping[str, Printed | None]]
    layout: Layout
    keys: Mapping[str, str]

    def flag_file(self, row: str, column: str) -> str:
        """Below configs/, such as `mnist_svhn_text/mmjsd.cfg`."""
        return self.layout.flag_file.format(row=STEMS.get(row, row), column=column)

    def flag_files(self, row: str) -> tuple[str, ...]:
        """Return all flag files of a row: one, or one for each column."""
        return tuple(dict.fromkeys(self.flag_file(row, column) for column in self.columns))

    def place(self, row: str, column: str, protocol: str) -> str:
        """Where in metrics.json the number is, keys joined by slashes."""
        return self.layout.columns[column].place(protocol).format(row=row.lower())

    def unit_of(self, column: str) -> Unit:
        return UNITS[self.layout.columns[column].unit or self.unit]

    def only(self, rows: Sequence[str]) -> Table:
        """Return the table with these rows alone, in its own order.

        Raises:
          UserError: one of them is not there.
        """
        for row in rows:
            _check_known(row, self.rows, f"row of {self.name}", "--rows")
        return dataclasses.replace(self, rows={row: cells for row, cells in self.rows.items() if row in rows})


@functools.cache
def tables() -> dict[str, Table]:
    """Return all published tables by name, such as `mmjsd/10`."""
    file = importlib.resources.files("mmtf.report") / "paper_tables.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    return {name: _table(name, part, content["keys"]) for name, part in content["tables"].items()}


def table(name: str) -> Table:
    """Return one published table.

    Raises:
      UserError: there is none of that name; the message has the nearest.
    """
    _check_known(name, tables(), "table", "--table")
    return tables()[name]


def listing(configs: Path) -> str:
    """Return all tables with their rows, flag files and costs, as text.

    Args: configs: the folder of the flag files.
    """
    parts = []
    for table in tables().values():
        lines = [f"{table.name}: {table.title}"]
        for row in table.rows:
            lines += [f"  {row}: configs/{file}; {flagfile.cost(configs / file)}" for file in table.flag_files(row)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _table(name: str, part: Mapping, keys: Mapping[str, str]) -> Table:
    columns, layout = tuple(part["columns"]), LAYOUTS[name]
    rows = {row: {c: _printed(x) for c, x in zip(columns, numbers, strict=True)} for row, numbers in part["rows"].items()}
    return Table(name, part["title"], part["unit"], columns, rows, layout, keys)


def _printed(number) -> Printed | None:
    """`0.96`, `84.45±0.87`, `3:01` (hours and minutes), or None."""
    if not isinstance(number, str):
        return None if number is None else Printed(float(number))
    if ":" in number:
        hours, minutes = number.split(":")
        return Printed(3600.0 * int(hours) + 60.0 * int(minutes))
    value, deviation = number.split("±")
    return Printed(float(value), float(deviation))


def _check_known(name: str, known, kind: str, flag: str) -> None:
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    raise UserError(f"There is no {kind} {name!r}; is {flag}={near[0]} meant? There are: {', '.join(known)}.")
