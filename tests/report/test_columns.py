"""Histograms of table columns: their heights are the shares that NumPy counts."""

import numpy as np
import pytest

from mmtf.report import columns, figures

RNG = np.random.default_rng(0)


def heights(figure, panel):
    return [patch.get_data().values for patch in figure.axes[panel].patches]


def test_each_panel_shows_the_shares_of_data_and_samples():
    data, generated = RNG.normal(5.0, 2.0, (300, 5)), RNG.normal(5.0, 2.0, (200, 5))
    data[::3, 1] = np.nan
    figure = columns.distributions(data, generated)
    assert len(figure.axes) == 5
    for column in range(5):
        of_data, of_model = heights(figure, column)
        edges = figure.axes[column].patches[0].get_data().edges
        there = data[~np.isnan(data[:, column]), column]
        np.testing.assert_allclose(of_data[1:-1], np.histogram(there, edges)[0][1:-1] / len(there))
        np.testing.assert_allclose([of_data.sum(), of_model.sum()], 1.0)


def test_what_is_generated_outside_the_data_is_counted_at_the_edge():
    _, of_model = heights(columns.distributions(RNG.uniform(size=(50, 1)), np.full((10, 1), 99.0)), 0)
    assert of_model[-1] == 1.0


def test_a_constant_column_has_bins():
    of_data, _ = heights(columns.distributions(np.full((20, 1), 3.0), np.full((20, 1), 3.0)), 0)
    assert of_data.max() == 1.0


def test_other_shapes_are_refused():
    for data, generated in ((np.zeros((3, 2)), np.zeros((3, 3))), (np.zeros(3), np.zeros(3)), (np.zeros((2, 33)),) * 2):
        with pytest.raises(ValueError, match="wanted two tables of one width"):
            columns.distributions(data, generated)
    with pytest.raises(ValueError, match="column 1 holds no value"):
        columns.distributions(np.array([[1.0, np.nan]]), np.ones((1, 2)))


def test_it_is_a_picture(tmp_path):
    figures.save(columns.distributions(RNG.normal(size=(50, 7)), RNG.normal(size=(50, 7))), tmp_path / "c.png")
    assert (tmp_path / "c.png").stat().st_size > 5000
