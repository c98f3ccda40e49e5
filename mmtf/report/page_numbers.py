"""Entries of metrics.json as HTML tables. Whatever their form, every number is printed, and stands unrounded beside it.

An entry is a number, a word, a list, or a dict of these; and a number with its uncertainty is a dict
`{"value": ..., "standard_error": ..., "low": ..., "high": ...}` of which all but the value may be missing.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Iterable, Mapping, Sequence

import jinja2
import markupsafe

from mmtf.metrics.specs import ARROW
from mmtf.metrics.specs import STANDARD_ERROR as ERROR

UNCERTAINTY = ("value", "standard_error", "low", "high")
ABSENT = "\N{EN DASH}"
MOST_COLUMNS = 8  # a wider table is turned over
LONG = 24  # rows; longer tables are folded
SHADE = "59, 110, 165"


@dataclasses.dataclass(frozen=True)
class Table:
    """Attributes:
    header: names of the columns, the first one of the rows' titles.
    rows: titles, each with the names of the other columns and any leaves.
    errors: standard errors by (row, column).
    shaded: whether a share of 0..1 has the darker ground the larger it is, as in a heat map.
    """

    header: Sequence[str]
    rows: Sequence[tuple[str, Sequence[tuple[str, object]]]]
    errors: Mapping
    shaded: bool = False

    @property
    def folded(self) -> bool:
        return len(self.rows) > LONG

    @property
    def ragged(self) -> bool:
        """Whether errors or words follow some of the numbers, which otherwise stand in line at their right ends."""
        leaves = [leaf for _, row in self.rows for _, leaf in row]
        return bool(self.errors) or any(is_measured(x) or isinstance(x, str | list | tuple) for x in leaves)


@dataclasses.dataclass(frozen=True)
class Line:
    """Text, and where it has one a leaf behind it."""

    text: str
    leaf: object = None
    error: object = None
    has_leaf: bool = False
    empty: bool = False


Blocks = list[Table | Line]


def rounded(value: float) -> str:
    """A number as it is read: three decimals below ten, one above, two digits where these would be zeros."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"Wanted a number, not {value!r}.")
    if isinstance(value, int):
        text = str(value)
    elif not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite" if value > 0 else "\N{MINUS SIGN}infinite"
    elif value and abs(value) < 0.0005:
        text = f"{value:.1e}"
    else:
        text = f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    # The minus sign is as wide as a digit, and no line ends after it.
    return text.replace("-", "\N{MINUS SIGN}")


def is_measured(value) -> bool:
    """Return whether it is a number with its uncertainty."""
    return isinstance(value, Mapping) and "value" in value and not any(isinstance(x, Mapping) for x in value.values())


def table(header: Sequence[str], rows: Iterable[tuple[str, Sequence]], errors: Mapping | None = None, *, shaded=False) -> Table:
    """Return a table of rows, each a title with a leaf for all but the first column; otherwise as `Table`."""
    named = [(title, list(zip(header[1:], leaves, strict=True))) for title, leaves in rows]
    return Table(header, named, errors or {}, shaded)


@functools.cache
def environment() -> jinja2.Environment:
    """Return what renders the page's templates; text is escaped wherever it comes from."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("mmtf.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "exact": repr,
        "rounded": rounded,
        "breakable": _breakable,
        "opacity": lambda share: f"{0.04 + 0.4 * share:.2f}",  # light enough to read on
    }
    made.tests |= {
        "measured": is_measured,
        "listed": lambda x: isinstance(x, list | tuple),
        "word": lambda x: isinstance(x, bool | str),
        "share": lambda x: isinstance(x, float) and 0.0 <= x <= 1.0,
    }
    made.globals |= {"absent": ABSENT, "uncertainty": UNCERTAINTY, "shade": SHADE}
    return made


def _breakable(title: str) -> markupsafe.Markup:
    """Return long names may break after a comma, a slash or an underscore."""
    return markupsafe.Markup(re.sub("([,/_])", r"\1<wbr>", str(markupsafe.escape(title))))


def entries_tables(entries: Mapping, footers: Mapping | None = None) -> list[tuple[list[str], Blocks]]:
    """Return tables of several entries of metrics.json: the names of the entries that each shows, and its blocks.

    Entries of plain numbers by keys of one kind share a table, a column each. Entries by `generated<-given` are matrices.
    Standard errors (`NAME_standard_error`) stand beside the numbers of NAME.

    Args:
      footers: by generated modality, what classifiers score on real values: the last row of a matrix.
    """
    errors = {key: x for key, x in entries.items() if _belongs(key, x, entries)}
    rest = {key: x for key, x in entries.items() if key not in errors}
    groups = _alike({key: x for key, x in rest.items() if _is_flat(x) and not _is_matrix(x)})
    made = []
    for key, x in rest.items():
        if not any(key in group for group in groups):
            made.append((_with_errors([key], errors), entry(key, x, errors.get(f"{key}{ERROR}", {}), footers)))
        made += [(_with_errors([*g], errors), [_side_by_side(g, errors)]) for g in groups if key == next(iter(g))]
    return made


def _alike(flat: Mapping[str, Mapping]) -> list[dict[str, Mapping]]:
    """Return the entries in groups, each of those that have a key with the first of them in common."""
    groups: list[dict[str, Mapping]] = []
    for name, x in flat.items():
        group = next((g for g in groups if set(x) & set(next(iter(g.values())))), None)
        if group is None:
            groups.append({name: x})
        else:
            group[name] = x
    return groups


def _with_errors(names: Sequence[str], errors: Mapping) -> list[str]:
    return [*names, *(f"{name}{ERROR}" for name in names if f"{name}{ERROR}" in errors)]


def entry(key: str, value, errors: Mapping | None = None, footers: Mapping | None = None) -> Blocks:
    """Return one entry of any form as tables."""
    if not isinstance(value, Mapping) or is_measured(value):
        return [table(("", "value"), [(key, [value])])]
    if not value:
        return [Line(f"{key}: empty.", empty=True)]
    if all(_is_record(x) for x in value.values()):
        return [_records(value)]
    if _is_matrix(value):
        return _matrix(value, errors or {}, footers or {})
    if all(isinstance(x, Mapping) and not is_measured(x) for x in value.values()) and any(map(_is_deep, value.values())):
        return [block for inner, x in value.items() for block in (Line(inner), *entry(inner, x))]
    if all(isinstance(x, Mapping) and not is_measured(x) and x and _leaves(x) for x in value.values()):
        return [_nested(value)]
    return [table(("", "value"), list(_flattened(value)))]


def _belongs(key: str, value, entries: Mapping) -> bool:
    """Return whether these are the standard errors of another entry, which has a number for each of them."""
    owner = entries.get(key.removesuffix(ERROR)) if key.endswith(ERROR) else None
    if not isinstance(owner, Mapping) or not isinstance(value, Mapping):
        return False
    return all(isinstance(owner.get(k), int | float) for k in value) and (_is_matrix(owner) or _is_flat(owner))


def _leaves(value: Mapping) -> bool:
    return all(not isinstance(x, Mapping) or is_measured(x) for x in value.values())


def _is_record(value) -> bool:
    """A measurement of several numbers that are not its uncertainty, such as how many samples it is of."""
    if not isinstance(value, Mapping) or any(isinstance(x, Mapping) for x in value.values()):
        return False
    return "value" in value and len(set(value) - set(UNCERTAINTY)) > 1


def _is_deep(value: Mapping) -> bool:
    """Return whether there are dicts in it, or measurements that want columns of their own."""
    return any(isinstance(x, Mapping) and (_is_record(x) or not is_measured(x)) for x in value.values())


def _is_flat(value) -> bool:
    """Return numbers, with or without uncertainty, by name."""
    if not isinstance(value, Mapping) or is_measured(value) or not value:
        return False
    return all(is_measured(x) or isinstance(x, int | float) for x in value.values())


def _is_matrix(value) -> bool:
    return isinstance(value, Mapping) and any(ARROW in key for key in value) and _leaves(value)


def _side_by_side(entries: Mapping[str, Mapping], errors: Mapping[str, Mapping]) -> Table:
    """A row for each key that any of them has, in order; a column for each entry."""
    rows = list(dict.fromkeys(key for x in entries.values() for key in x))
    beside = {(k, name): e for name in entries for k, e in errors.get(f"{name}{ERROR}", {}).items()}
    return table(("", *entries), [(key, [x.get(key) for x in entries.values()]) for key in rows], beside)


def _matrix(values: Mapping, errors: Mapping, footers: Mapping) -> Blocks:
    """Return rows are what was given, columns what was generated from it; keys without an arrow follow below."""
    pairs = {tuple(key.split(ARROW, 1)): x for key, x in values.items() if ARROW in key}
    columns = list(dict.fromkeys(target for target, _ in pairs))
    rows = [(given, [pairs.get((c, given)) for c in columns]) for given in dict.fromkeys(given for _, given in pairs)]
    beside = {(key.split(ARROW, 1)[1], key.split(ARROW, 1)[0]): e for key, e in errors.items() if ARROW in key}
    scores = all(is_measured(x) or isinstance(x, float) for x in pairs.values())
    if scores and any(c in footers for c in columns):
        rows.append(("(real test values)", [footers.get(c) for c in columns]))
    alone = [(key, x, errors.get(key)) for key, x in values.items() if ARROW not in key]
    below = [Line(key, x, e, has_leaf=True) for key, x, e in alone]
    return [table(("given", *columns), rows, beside, shaded=True), *below]


def _records(value: Mapping[str, Mapping]) -> Table:
    """Return measurements below one another: the number with its uncertainty, and a column for each further number."""
    others = list(dict.fromkeys(key for x in value.values() for key in x if key not in UNCERTAINTY))
    rows = [(name, [{k: x[k] for k in UNCERTAINTY if k in x}, *(x.get(key) for key in others)]) for name, x in value.items()]
    return table(("", "value", *others), rows)


def _nested(value: Mapping[str, Mapping]) -> Table:
    """Return dicts of one depth: the outer keys are the rows, unless there are so many inner ones that they had better be."""
    inner = list(dict.fromkeys(key for x in value.values() for key in x))
    if len(inner) > MOST_COLUMNS:
        value = {key: {outer: x[key] for outer, x in value.items() if key in x} for key in inner}
        inner = list(dict.fromkeys(key for x in value.values() for key in x))
    return table(("", *inner), [(outer, [x.get(key) for key in inner]) for outer, x in value.items()])


def _flattened(value: Mapping, outer: str = "") -> Iterable[tuple[str, list]]:
    for key, x in value.items():
        name = f"{outer} {key}".strip()
        if isinstance(x, Mapping) and not is_measured(x):
            yield from _flattened(x, name) if x else [(name, ["none"])]
        else:
            yield name, [x]
