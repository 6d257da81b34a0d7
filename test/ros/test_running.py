"""Arguments that ROS cannot read are reported in one line."""

import pytest

from pose3d_ros.ros import multiview_node


@pytest.mark.parametrize("arguments", [["--params-file", "/nope.yaml"], ["-p", "foo:bar"]])
def test_arguments_that_ros_cannot_read_end_in_one_line(capfd, arguments):
    assert multiview_node.main(["multiview_node", "--ros-args", *arguments]) == 1
    said = capfd.readouterr().err
    assert f"ROS cannot read the arguments --ros-args {' '.join(arguments)}" in said
    assert "-p name:=value" in said
    assert "Traceback" not in said
