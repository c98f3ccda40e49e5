"""Measure what `scripts/benchmark.py --part` names: each part's rows, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import comparisons
import scaling
import step

from mmtf.cli import console

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"

# From flags by name, the length of each measurement and the machine, to parts of a file of results, and sentences that say what
# is wrong.
Part = Callable[[Mapping[str, Any], comparisons.Length, Mapping], tuple[dict, list[str]]]


def steps(how: Mapping[str, Any], length: comparisons.Length, machine: Mapping) -> tuple[dict, list[str]]:
    found = step.measure(how["batch_size"], how["also"], length)
    problems = [] if how["require"] is None else step.too_slow(found, how["require"])
    # Beside what the processor does with all of its instructions.
    return {f"{name}_without_avx512" if how["without_avx512"] else name: rows for name, rows in found.items()}, problems


def inputs(how: Mapping[str, Any], length: comparisons.Length, machine: Mapping) -> tuple[dict, list[str]]:
    return comparisons.inputs(how["batch_size"], length), []


def growth(how: Mapping[str, Any], length: comparisons.Length, machine: Mapping) -> tuple[dict, list[str]]:
    found = scaling.report(length, how["model"], machine, RESULTS if how["write"] else None)
    return {"scaling": found}, scaling.too_steep(found["rows"])


def served(how: Mapping[str, Any], length: comparisons.Length, machine: Mapping) -> tuple[dict, list[str]]:
    console.load_tensorflow()
    import serving

    found = serving.report(how["requests"], threads=8)
    return {"serving": found}, serving.problems(found)


def until_good(how: Mapping[str, Any], length: comparisons.Length, machine: Mapping) -> tuple[dict, list[str]]:
    import quality

    report = quality.report(range(how["seeds"]))
    print(f"\nUntil a model is good, one thread each\n\n{quality.table(report['found'])}", flush=True)
    if how["write"]:
        quality.draw(report["found"], HERE / "quality.png")
    return {"quality": report}, []


PARTS: dict[str, Part] = {"step": steps, "input": inputs, "scaling": growth, "serving": served, "quality": until_good}
# What is measured where no part is named.
USUAL = ("step", "input", "scaling", "serving")
