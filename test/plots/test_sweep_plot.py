import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from pose3d_ros.plots.sweep_plot import write_panel_plot, write_sweep_plot


@pytest.mark.parametrize(("points", "x_log"), [(False, False), (True, False), (False, True)])
def test_plot_is_drawn_into_a_folder_that_is_made(tmp_path, points, x_log):
    path = tmp_path / "plots" / "noise.png"
    x = np.linspace(0, 10, 5)
    write_sweep_plot(
        {"one": (x, x), "two": (x, 2 * x)}, path, title="t", x_label="px", y_label="mm", points=points, x_log=x_log
    )
    image = cv2.imread(str(path))
    assert image is not None
    assert image.std() > 5


def test_more_series_than_colours_still_look_different(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path: drawn.append(figure))
    x = np.linspace(0, 10, 5)
    write_sweep_plot({str(n): (x, n * x) for n in range(20)}, tmp_path / "p.png", title="t", x_label="x", y_label="y")
    lines = drawn[0].axes[0].lines
    assert len({(one.get_color(), one.get_linestyle()) for one in lines}) == 20


def test_every_panel_has_its_own_series_and_no_empty_one_is_shown(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path: drawn.append(figure))
    x = np.linspace(0, 10, 5)
    panels = {str(n): {"footage": (x, n * x), "rendered": (x, -n * x)} for n in range(1, 7)}
    write_panel_plot(panels, tmp_path / "p.png", title="t", x_label="px", y_label="%")
    shown = [one for one in drawn[0].axes if one.get_visible()]
    assert [one.get_title() for one in shown] == list(panels)
    for axes, series in zip(shown, panels.values(), strict=True):
        for line, (_, y) in zip(axes.lines, series.values(), strict=True):
            np.testing.assert_array_equal(line.get_ydata(), y)
        assert len({line.get_color() for line in axes.lines}) == 2
