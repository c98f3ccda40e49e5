"""Tables and pictures of sweeps: means and deviations over seeds of the very numbers of the runs."""

import numpy as np
import pytest

from mmtf.report import grids
from mmtf.report.grids import Result


def result(beta, seed, **more):
    found = {"probe/1 given": beta / 10 + seed / 100, "probe/2 given": 0.5, "training/steps": 20}
    return Result({"beta": beta, **more, "seed": seed}, found)


def rows(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_a_row_is_a_combination_and_its_spread_is_over_seeds():
    runs = [result(1.0, seed) for seed in (0, 1, 2)] + [result(5.0, 0)]
    header, _, first, second = rows(grids.table(runs))
    assert header == ["beta", "seeds", "probe/1 given", "probe/2 given", "training/steps"]
    # 0.10, 0.11 and 0.12 have the mean 0.11 and the sample deviation 0.01.
    assert first[:3] == ["1.0", "3", "0.110 ± 0.010"]
    assert second[:3] == ["5.0", "1", "0.500"]


def test_what_some_runs_lack_is_said():
    runs = [result(1.0, 0), Result({"beta": 1.0, "seed": 1}, {"other": 1.0}), Result({"beta": 2.0, "seed": 0}, {})]
    _, _, first, second = rows(grids.table(runs))
    assert first[2] == "0.100 (1 of 2)"
    assert second[2] == "-"


def test_csv_has_each_run_in_full():
    runs = [Result({"model": "a,b", "seed": 0}, {"x": 1 / 3}), Result({"model": "c", "seed": 0}, {"y": 2})]
    assert grids.as_csv(runs).splitlines() == ["model,seed,x,y", f'"a,b",0,{1 / 3!r},', "c,0,,2"]


def lines_of(axes):
    """By label, places, means and the ends of the bars."""
    found = {}
    for container, label in zip(*axes.get_legend_handles_labels(), strict=True):
        line, _, (bars,) = container
        found[label] = (
            line.get_xdata().astype(float),
            line.get_ydata().astype(float),
            np.array([s[:, 1] for s in bars.get_segments()]),
        )
    return found


def test_the_picture_has_the_means_and_bars_over_the_swept_value():
    figure = grids.picture([result(b, seed) for b in (5.0, 1.0) for seed in (0, 2)])
    (axes,) = figure.axes
    assert (axes.get_title(), axes.get_xlabel(), axes.get_xscale()) == ("probe", "beta", "log")
    places, means, bars = lines_of(axes)["1 given"]
    np.testing.assert_allclose(places, [1, 5])
    np.testing.assert_allclose(means, [0.11, 0.51])
    # Seeds 0 and 2 differ by 0.02, whose sample deviation is 0.02 / sqrt(2).
    np.testing.assert_allclose(bars[:, 1] - bars[:, 0], 2 * 0.02 / np.sqrt(2))


def test_other_values_are_lines():
    runs = [result(b, 0, private_dim=p) for b in (1.0, 5.0) for p in (0, 4)]
    figure = grids.picture(runs)
    shown = {axes.get_title(): axes for axes in figure.axes if axes.get_title()}
    assert set(shown) == {"probe/1 given", "probe/2 given"}
    assert set(lines_of(shown["probe/1 given"])) == {"private_dim=0", "private_dim=4"}


def test_words_have_places_in_their_order():
    runs = [Result({"model": name}, {"probe/a": x}) for name, x in (("mvae", 0.5), ("mmjsd", 0.75))]
    (axes,) = grids.picture(runs).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["mvae", "mmjsd"]
    np.testing.assert_allclose(lines_of(axes)["a"][1], [0.5, 0.75])


def test_seeds_alone_are_a_sweep_too():
    runs = [Result({"seed": seed}, {"probe/a": seed / 10}) for seed in (0, 1, 2)]
    assert rows(grids.table(runs))[2] == ["3", "0.100 ± 0.100"]
    assert grids.picture(runs).axes[0].get_xlabel() == "seed"


def test_nothing_to_show_is_said():
    with pytest.raises(ValueError, match="without runs"):
        grids.table([])
    assert grids.picture([Result({"beta": 1.0}, {"training/steps": 3})]) is None
