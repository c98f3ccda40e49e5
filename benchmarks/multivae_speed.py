"""Times the training steps of a model with both libraries, in turns; see `interleaved`."""

from __future__ import annotations

from collections.abc import Mapping

import comparisons

Rows = dict[str, dict]


def compare(model: str, batch_size: int, length: comparisons.Length) -> Rows:
    """A row for ours, for `multivae` under its own trainer, and for it in a plain loop with batches gathered whole.

    Ratios are to ours: CPU time of a step of theirs over that of ours, which is our steps per CPU second over theirs.
    """
    rows, _ = comparisons.side_by_side([f"multivae_{model}", f"mmtf_{model}", f"multivae_{model}_gathered"], batch_size, length)
    return {"mmtf": rows[f"mmtf_{model}"], "trainer": rows[f"multivae_{model}"], "loop": rows[f"multivae_{model}_gathered"]}


def table(found: Mapping[str, Rows]) -> str:
    """Markdown of what `compare` found, by model, in steps per second of CPU time."""
    lines = [
        "| model | mmtf | multivae, its trainer | plain loop | mmtf / trainer: median [min, max] | mmtf / loop |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for model, rows in found.items():
        rates = " | ".join(f"{1000 / row['cpu_ms']:.1f}" for row in rows.values())
        lines.append(f"| {model} | {rates} | {_ratio(rows['trainer'])} | {_ratio(rows['loop'])} |")
    return "\n".join(lines)


def _ratio(row: Mapping) -> str:
    low, high = row["cpu_ratio_range"]
    return f"{row['cpu_ratio']:.2f} [{low:.2f}, {high:.2f}]"
