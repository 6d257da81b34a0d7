import cv2
import numpy as np
import pytest

from pose3d_ros.output.sweep_plot import write_sweep_plot


@pytest.mark.parametrize(("points", "x_log"), [(False, False), (True, False), (False, True)])
def test_a_plot_is_drawn_into_a_folder_that_is_made(tmp_path, points, x_log):
    path = tmp_path / "plots" / "noise.png"
    x = np.linspace(0, 10, 5)
    write_sweep_plot(
        {"one": (x, x), "two": (x, 2 * x)}, path, title="t", x_label="px", y_label="mm", points=points, x_log=x_log
    )
    image = cv2.imread(str(path))
    assert image is not None
    assert image.std() > 5
