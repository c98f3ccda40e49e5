"""A comparison with a published table as Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Callable, Mapping, Sequence

from mmtf.report.published import Printed, Unit
from mmtf.report.reproduce import Comparison, Estimate, Line
from mmtf.report.tables import ABSENT

NO_RUN = "no run"
CSV_COLUMNS = (
    "table",
    "protocol",
    "row",
    "setting",
    "column",
    "unit",
    "published",
    "published_deviation",
    "ours",
    "ours_deviation",
    "n",
    "standard_error",
    "difference",
    "flag_file",
    "notes",
)


@dataclasses.dataclass(frozen=True)
class Text:
    """A cell, with the numbers of its footnotes."""

    text: str
    marks: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Grid:
    """A comparison as cells of text: what Markdown and LaTeX have in common.

    Attributes:
      blocks: per row of the published table, its lines.
      footnotes: those that cells refer to, by number from 1; notes: those of the whole table.
    """

    title: str
    head: tuple[Text, ...]
    blocks: tuple[tuple[tuple[Text, ...], ...], ...]
    footnotes: tuple[str, ...]
    notes: tuple[str, ...]


def markdown(comparison: Comparison) -> str:
    """A heading, an aligned table with lines of published numbers, ours and the difference, and footnotes."""
    grid = _grid(comparison)
    table = [grid.head, *(line for block in grid.blocks for line in block)]
    cells = [[_marked(cell, " [{}]").replace("|", "\\|") for cell in line] for line in table]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    pads = [str.ljust if i < 2 else str.rjust for i in range(len(widths))]
    rule = ["-" * w if i < 2 else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    padded = [[pad(c, w) for pad, c, w in zip(pads, line, widths, strict=True)] for line in cells]
    lines = [f"| {' | '.join(line)} |" for line in [padded[0], rule, *padded[1:]]]
    notes = [f"[{number}] {note}" for number, note in enumerate(grid.footnotes, 1)] + list(grid.notes)
    return "\n".join([f"### {grid.title}", "", *lines, "", *(f"- {note}" for note in notes)]) + "\n"


def latex(comparison: Comparison) -> str:
    """A table environment that needs no package; notes stand below the tabular."""
    grid = _grid(comparison)

    def rendered(line: Sequence[Text]) -> str:
        cells = [_escaped(cell.text) + (rf"\textsuperscript{{{_commas(cell.marks)}}}" if cell.marks else "") for cell in line]
        return " & ".join(cells) + r" \\"

    blocks = [line for block in grid.blocks for line in [*map(rendered, block), r"\hline"]]
    notes = [rf"\textsuperscript{{{number}}} {_escaped(note)}" for number, note in enumerate(grid.footnotes, 1)]
    notes += [_escaped(note) for note in grid.notes]
    lines = [
        r"\begin{table}",
        rf"\caption{{{_escaped(grid.title)}}}",
        r"\footnotesize",
        rf"\begin{{tabular}}{{ll{'r' * (len(grid.head) - 2)}}}",
        r"\hline",
        rendered(grid.head),
        r"\hline",
        *blocks,
        r"\end{tabular}",
        *(rf"\par {note}" for note in notes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def comma_separated(comparison: Comparison) -> str:
    """Return one record a number, under `CSV_COLUMNS`, in the columns' units (times in seconds).

    A row without a run has one, too.

    `setting` counts the lines of a row; empty cells are numbers that are not there.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    table = comparison.table
    for row, printed in table.rows.items():
        for setting, line in enumerate(comparison.lines[row] or (Line({}, ()),), 1):
            for column in table.columns:
                record = _record(printed[column], line.cells.get(column)) | {
                    "table": table.name,
                    "protocol": comparison.protocol,
                    "row": row,
                    "setting": setting,
                    "column": column,
                    "unit": table.unit_of(column).name,
                    "flag_file": table.flag_file(row, column),
                    "notes": " ".join(line.notes),
                }
                writer.writerow(record)
    return buffer.getvalue()


FORMATS: dict[str, Callable[[Comparison], str]] = {"md": markdown, "tex": latex, "csv": comma_separated}


def file_stem(comparison: Comparison) -> str:
    """`mmali_2_20pct_corrected`: the table's name where / and % have no place."""
    return f"{comparison.table.name}_{comparison.protocol}".replace("/", "_").replace("%", "pct")


def _record(printed: Printed | None, ours: Estimate | None) -> dict:
    record = {"published": printed and printed.value, "published_deviation": printed and printed.deviation}
    if ours:
        difference = ours.difference(printed)
        record |= {"ours": ours.mean, "ours_deviation": ours.deviation, "n": ours.count, "standard_error": ours.standard_error}
        record["difference"] = difference
    return {key: _exact(x) for key, x in record.items()}


def _exact(number):
    # Sums of decimal fractions end in digits that mean nothing.
    return round(number, 10) if isinstance(number, float) else number


def _grid(comparison: Comparison) -> Grid:
    table = comparison.table
    footnotes: dict[str, int] = {}

    def marks(notes: Sequence[str]) -> tuple[int, ...]:
        return tuple(footnotes.setdefault(note, len(footnotes) + 1) for note in notes)

    measures = table.layout.columns
    head = [Text("row"), Text("")]
    head += [Text(column, marks([measures[column].footnote(comparison.protocol)])) for column in table.columns]
    blocks = []
    for row, printed in table.rows.items():
        units = {column: table.unit_of(column) for column in table.columns}
        block = [(Text(row), Text("published"), *(Text(_published(printed[c], unit)) for c, unit in units.items()))]
        for line in comparison.lines[row]:
            block += _of_line(line, units, printed, marks(line.notes))
        if not comparison.lines[row]:
            block.append((Text(""), Text(NO_RUN), *(Text(ABSENT) for _ in units)))
        blocks.append(tuple(block))
    title = f"{table.name}: {table.title}; {table.unit}, protocol {comparison.protocol}"
    notes = (*_standing_notes(comparison), *comparison.notes)
    return Grid(title, tuple(head), tuple(blocks), tuple(footnotes), notes)


def _of_line(
    line: Line, units: Mapping[str, Unit], printed: Mapping[str, Printed | None], marks: tuple[int, ...]
) -> list[tuple[Text, ...]]:
    """Return ours, and the difference under it."""
    ours, differences = [], []
    for column, unit in units.items():
        estimate = line.cells.get(column)
        gap = estimate.difference(printed[column]) if estimate else None
        ours.append(_ours(estimate, unit) if estimate else ABSENT)
        differences.append(ABSENT if gap is None else _signed(gap, unit))
    counts = sorted({estimate.count for estimate in line.cells.values()})
    # Where nothing was found in these runs, a note says what is missing.
    seeds = f"ours (n = {' to '.join(map(str, dict.fromkeys([counts[0], counts[-1]])))})" if counts else "ours"
    return [
        (Text(""), Text(seeds, marks), *map(Text, ours)),
        (Text(""), Text("difference"), *map(Text, differences)),
    ]


def _standing_notes(comparison: Comparison) -> list[str]:
    """Return what the words in the table mean."""
    table = comparison.table
    about = {key: [row for row in table.rows if _is_about(key, row)] for key in table.keys}
    notes = [f"{', '.join(rows)}: {table.keys[key]}." for key, rows in about.items() if rows]
    if any(comparison.lines.values()):
        notes.append(
            "Ours are means over n seeds ± their sample standard deviation; a difference is ours minus the published number."
        )
    largest = [e.standard_error for lines in comparison.lines.values() for line in lines for e in line.cells.values()]
    largest = [error for error in largest if error is not None]
    if largest:
        notes.append(f"The standard error of one run's estimate is at most {max(largest):.3g} {table.unit}.")
    return notes


def _is_about(key: str, row: str) -> bool:
    """Return whether a key such as `_ms`, `ci_` or `mmali_joint` explains a row's name."""
    if key.startswith("_"):
        return row.endswith(key)
    return row.startswith(key) if key.endswith("_") else row == key


def _published(printed: Printed | None, unit: Unit) -> str:
    if printed is None:
        return ABSENT
    if unit.name == "seconds":
        return _clock(printed.value)[:-3]
    text = f"{printed.value:.{unit.printed}f}"
    return text if printed.deviation is None else f"{text} ± {printed.deviation:.{unit.printed}f}"


def _ours(estimate: Estimate, unit: Unit) -> str:
    text = _plain(estimate.mean, unit)
    return text if estimate.deviation is None else f"{text} ± {_plain(estimate.deviation, unit)}"


def _plain(number: float, unit: Unit) -> str:
    return _clock(number) if unit.name == "seconds" else f"{number:.{unit.ours}f}"


def _signed(number: float, unit: Unit) -> str:
    text = _plain(abs(number), unit)
    sign = "" if not re.search("[1-9]", text) else "+" if number > 0 else "-"
    return sign + text


def _clock(seconds: float) -> str:
    """`3:01:00`: hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _marked(cell: Text, form: str) -> str:
    return cell.text + (form.format(_commas(cell.marks)) if cell.marks else "")


def _commas(marks: Sequence[int]) -> str:
    return ",".join(map(str, marks))


_LATEX = {
    "<-": r"$\leftarrow$",
    "->": r"$\rightarrow$",
    "±": r"$\pm$",
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    # Two hyphens are a dash.
    "--": r"-{}-",
} | {character: "\\" + character for character in "{}$&#_%"}
_LATEX_PATTERN = re.compile("|".join(re.escape(key) for key in sorted(_LATEX, key=len, reverse=True)))


def _escaped(text: str) -> str:
    return _LATEX_PATTERN.sub(lambda found: _LATEX[found[0]], text)
