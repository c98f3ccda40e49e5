"""Entries of metrics.json as HTML tables. Whatever their form, every number is printed, and stands unrounded beside it.

An entry is a number, a word, a list, or a dict of these; and a number with its uncertainty is a dict
`{"value": ..., "standard_error": ..., "low": ..., "high": ...}` of which all but the value may be missing.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Mapping, Sequence

from mmtf.metrics.specs import ARROW
from mmtf.metrics.specs import STANDARD_ERROR as ERROR

UNCERTAINTY = ("value", "standard_error", "low", "high")
ABSENT = "\N{EN DASH}"
MOST_COLUMNS = 8  # a wider table is turned over
LONG = 24  # rows; longer tables are folded
SHADE = "59, 110, 165"

escape = html.escape


def number(value: float) -> str:
    """A number as it is read: three decimals below ten, one above, two digits where these would be zeros."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"Wanted a number, not {value!r}.")
    if isinstance(value, int):
        text = str(value)
    elif not math.isfinite(value):
        text = "not a number" if math.isnan(value) else "infinite" if value > 0 else "\N{MINUS SIGN}infinite"
    elif value and abs(value) < 0.0005:
        text = f"{value:.1e}"
    else:
        text = f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    # The minus sign is as wide as a digit, and no line ends after it.
    shown = text.replace("-", "\N{MINUS SIGN}") if math.isfinite(value) else text
    return f'<data class="number" value="{value!r}">{shown}</data>'


def cell(value, error=None) -> str:
    """Any leaf as HTML; a number with its standard error or its interval, if there are any."""
    if value is None:
        return ABSENT
    if is_measured(value):
        return _measured(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{escape(str(key))} {cell(x)}" for key, x in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(cell(x) for x in value)
    if isinstance(value, bool | str):
        return escape(str(value)) or ABSENT
    return number(value) + ("" if error is None else f' <span class="error">± {cell(error)}</span>')


def is_measured(value) -> bool:
    """Whether it is a number with its uncertainty."""
    return isinstance(value, Mapping) and "value" in value and not any(isinstance(x, Mapping) for x in value.values())


def _measured(value: Mapping) -> str:
    parts = [cell(value["value"], value.get("standard_error"))]
    if "low" in value or "high" in value:
        parts.append(f'<span class="interval">[{cell(value.get("low"))}, {cell(value.get("high"))}]</span>')
    others = [f"{escape(str(key))} {cell(x)}" for key, x in value.items() if key not in UNCERTAINTY]
    return " ".join(parts) + (f' <span class="interval">({", ".join(others)})</span>' if others else "")


def table(header: Sequence[str], rows: Iterable[tuple[str, Sequence]], errors: Mapping | None = None, *, shaded=False) -> str:
    """A table in a box that scrolls by itself; header and first column are escaped, cells are any leaves.

    Args:
      rows: titles, each with a leaf for all but the first column.
      errors: standard errors by (row, column).
      shaded: whether a share of 0..1 has the darker ground the larger it is, as in a heat map.
    """
    rows, errors = list(rows), errors or {}
    head = "".join(f'<th scope="col">{_breakable(x)}</th>' for x in header)
    body = []
    for title, leaves in rows:
        cells = [_td(x, errors.get((title, name)), shaded) for name, x in zip(header[1:], leaves, strict=True)]
        body.append(f'<tr><th scope="row">{_breakable(title)}</th>{"".join(cells)}</tr>')
    # Numbers stand in line at their right ends, unless errors or words follow some of them.
    ragged = errors or any(is_measured(x) or isinstance(x, str | list | tuple) for _, leaves in rows for x in leaves)
    kind = ' class="ragged"' if ragged else ""
    inside = f"<table{kind}><thead><tr>{head}</tr></thead><tbody>\n{chr(10).join(body)}\n</tbody></table>"
    made = f'<div class="scroll" tabindex="0">{inside}</div>'
    return made if len(body) <= LONG else f"<details><summary>{len(body)} rows</summary>{made}</details>"


def _td(leaf, error, shaded: bool) -> str:
    if isinstance(leaf, str | list | tuple):
        return f'<td class="words">{cell(leaf)}</td>'
    share = shaded and isinstance(leaf, float) and 0.0 <= leaf <= 1.0
    # Light enough to read on.
    style = f' style="background: rgba({SHADE}, {0.04 + 0.4 * leaf:.2f})"' if share else ""
    return f"<td{style}>{cell(leaf, error)}</td>"


def _breakable(title: str) -> str:
    """Long names may break after a comma, a slash or an underscore."""
    return re.sub("([,/_])", r"\1<wbr>", escape(title))


def entries_tables(entries: Mapping, footers: Mapping | None = None) -> list[tuple[list[str], str]]:
    """Tables of several entries of metrics.json: the names of the entries that each shows, and its HTML.

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
        made += [(_with_errors([*g], errors), _side_by_side(g, errors)) for g in groups if key == next(iter(g))]
    return made


def _alike(flat: Mapping[str, Mapping]) -> list[dict[str, Mapping]]:
    """The entries in groups, each of those that have a key with the first of them in common."""
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


def entry(key: str, value, errors: Mapping | None = None, footers: Mapping | None = None) -> str:
    """One entry of any form as a table."""
    if not isinstance(value, Mapping) or is_measured(value):
        return table(("", "value"), [(key, [value])])
    if not value:
        return f'<p class="note">{escape(key)}: empty.</p>'
    if all(_is_record(x) for x in value.values()):
        return _records(value)
    if _is_matrix(value):
        return _matrix(value, errors or {}, footers or {})
    if all(isinstance(x, Mapping) and not is_measured(x) for x in value.values()) and any(map(_is_deep, value.values())):
        return "".join(f'<p class="note meaning">{escape(inner)}</p>{entry(inner, x)}' for inner, x in value.items())
    if all(isinstance(x, Mapping) and not is_measured(x) and x and _leaves(x) for x in value.values()):
        return _nested(value)
    return table(("", "value"), list(_flattened(value)))


def _belongs(key: str, value, entries: Mapping) -> bool:
    """Whether these are the standard errors of another entry, which has a number for each of them."""
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
    """Whether there are dicts in it, or measurements that want columns of their own."""
    return any(isinstance(x, Mapping) and (_is_record(x) or not is_measured(x)) for x in value.values())


def _is_flat(value) -> bool:
    """Numbers, with or without uncertainty, by name."""
    if not isinstance(value, Mapping) or is_measured(value) or not value:
        return False
    return all(is_measured(x) or isinstance(x, int | float) for x in value.values())


def _is_matrix(value) -> bool:
    return isinstance(value, Mapping) and any(ARROW in key for key in value) and _leaves(value)


def _side_by_side(entries: Mapping[str, Mapping], errors: Mapping[str, Mapping]) -> str:
    """A row for each key that any of them has, in order; a column for each entry."""
    rows = list(dict.fromkeys(key for x in entries.values() for key in x))
    beside = {(k, name): e for name in entries for k, e in errors.get(f"{name}{ERROR}", {}).items()}
    return table(("", *entries), [(key, [x.get(key) for x in entries.values()]) for key in rows], beside)


def _matrix(values: Mapping, errors: Mapping, footers: Mapping) -> str:
    """Rows are what was given, columns what was generated from it; keys without an arrow follow below."""
    pairs = {tuple(key.split(ARROW, 1)): x for key, x in values.items() if ARROW in key}
    columns = list(dict.fromkeys(target for target, _ in pairs))
    rows = [(given, [pairs.get((c, given)) for c in columns]) for given in dict.fromkeys(given for _, given in pairs)]
    beside = {(key.split(ARROW, 1)[1], key.split(ARROW, 1)[0]): e for key, e in errors.items() if ARROW in key}
    scores = all(is_measured(x) or isinstance(x, float) for x in pairs.values())
    if scores and any(c in footers for c in columns):
        rows.append(("(real test values)", [footers.get(c) for c in columns]))
    alone = [(key, x, errors.get(key)) for key, x in values.items() if ARROW not in key]
    below = "".join(f'<p class="note meaning">{escape(key)}: {cell(x, e)}</p>' for key, x, e in alone)
    return table(("given", *columns), rows, beside, shaded=True) + below


def _records(value: Mapping[str, Mapping]) -> str:
    """Measurements below one another: the number with its uncertainty, and a column for each further number."""
    others = list(dict.fromkeys(key for x in value.values() for key in x if key not in UNCERTAINTY))
    rows = [(name, [{k: x[k] for k in UNCERTAINTY if k in x}, *(x.get(key) for key in others)]) for name, x in value.items()]
    return table(("", "value", *others), rows)


def _nested(value: Mapping[str, Mapping]) -> str:
    """Dicts of one depth: the outer keys are the rows, unless there are so many inner ones that they had better be."""
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
