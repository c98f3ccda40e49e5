"""The table of entries in docs/metrics.md, made from their specs: `python -m mmtf.report.metric_docs docs/metrics.md`."""

from __future__ import annotations

import sys
from pathlib import Path

from mmtf.errors import UserError
from mmtf.metrics.entries import METRICS

BEGIN, END = "<!-- entries: made by mmtf.report.metric_docs -->", "<!-- end of entries -->"

# A bar would end the cell.
BAR, ESCAPED = "|", r"\|"


def table() -> str:
    """Return every entry of metrics.json with its unit and its meaning, as Markdown."""
    rows = []
    for key, spec in METRICS.items():
        meaning = spec.meaning if not spec.of_attributes else f"{spec.meaning} With attributes: {spec.of_attributes}"
        rows.append(f"| `{key}` | {spec.unit} | {meaning.replace(BAR, ESCAPED)} |")
    return "\n".join(["| key | unit | meaning |", "|---|---|---|", *rows])


def updated(text: str) -> str:
    """Return the page with the table between its two marks made anew.

    Raises:
      UserError: the page has not both marks.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise UserError(f"The page has to have {BEGIN!r} and, below it, {END!r}; the table goes between them.")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(updated(Path(name).read_text(encoding="utf-8")), encoding="utf-8")
