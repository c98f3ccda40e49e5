"""What a sweep comes to: tables and a picture of all runs that were trained, in calls before this one too."""

import json

import pytest
from stand_ins import Commands, carried_out

from mmtf.cli.sweeps import sweep_results


def test_tables_and_a_picture_tell_of_all_runs(tmp_path):
    found, _, _ = carried_out(tmp_path, Commands(), "beta=2,1", "seed=0,1")
    table = sweep_results.write(found)
    # The probe is beta / 10 + seed / 100, whose mean and sample deviation over seeds 0 and 1 are these.
    row = next(line for line in table.splitlines() if line.startswith("| 1.0 "))
    assert [cell.strip() for cell in row.split("|")][2:4] == ["2", "0.105 ± 0.007"]
    assert (tmp_path / "table.md").read_text() == f"{table}\n"
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert lines[0] == "beta,seed,probe/digit,test_terms/loss,training/steps,training/seconds"
    assert [line.split(",")[:2] for line in lines[1:]] == [["1.0", "0"], ["1.0", "1"], ["2.0", "0"], ["2.0", "1"]]
    assert float(lines[4].split(",")[2]) == pytest.approx(0.21)
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_what_has_no_curves_has_tables_and_no_picture(tmp_path):
    found, _, _ = carried_out(tmp_path, Commands(), "beta=1,2")
    sweep_results.write(found)
    for name in found.runs:
        metrics = {"step": 20, "training": {"steps": 20}, "active_units": {"digit": {"active": 3}}}
        (tmp_path / name / "metrics.json").write_text(json.dumps(metrics))
    table = sweep_results.write(found)
    assert [cell.strip() for cell in table.splitlines()[0].split("|")][1:-1] == ["beta", "training/steps", "training/seconds"]
    assert (tmp_path / "table.md").read_text() == f"{table}\n"
    assert (tmp_path / "table.csv").read_text().splitlines()[1:] == ["1.0,20,2.0", "2.0,20,2.0"]
    assert not (tmp_path / "sweep.png").exists()
