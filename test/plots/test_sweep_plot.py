import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from pose3d_ros.plots.sweep_plot import write_sweep_plot


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
