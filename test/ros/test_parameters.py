"""Parameters of real nodes from dataclasses of options."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import rclpy
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import DescribeParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from pose3d_ros.errors import OptionError
from pose3d_ros.options import check, option
from pose3d_ros.ros.harness.processes import free_domain
from pose3d_ros.ros.parameters import current, declare, given_to_all, refuse_unknown


@dataclass(frozen=True)
class CameraOptions:
    cameras: tuple[str, ...] = option((), "names of the cameras", read_only=True)
    weights: tuple[float, ...] = option((1.0, 1.0), "weight of each camera")
    rate_hz: float = option(30.0, "frame sets a second", unit="Hz", low=0.1, high=240.0)
    views: int = option(2, "cameras needed for a joint", low=2)
    placement: str = option("auto", "where the cameras are", choices=("auto", "tf", "file"))
    rectified: bool = option(False, "whether the images are rectified")

    def __post_init__(self) -> None:
        check(self)
        if self.views > 2 and self.placement == "file":
            raise OptionError("three views and a file do not go together")


@dataclass(frozen=True)
class TrackOptions:
    lost_s: float = option(0.5, "after this long a person is lost", unit="s", low=0.0, high=10.0)

    def __post_init__(self) -> None:
        check(self)


@pytest.fixture
def node_with():
    """Nodes with parameters as a launch file gives them (overrides) or as a user types them (args)."""
    contexts, nodes = [], []

    def make(overrides=None, args=()):
        context = Context()
        rclpy.init(context=context, args=["--ros-args", *args] if args else [], domain_id=free_domain())
        parameters = [Parameter(name, value=value) for name, value in (overrides or {}).items()]
        node = Node("under_test", context=context, parameter_overrides=parameters)
        contexts.append(context)
        nodes.append(node)
        return node

    yield make
    for node in nodes:
        node.destroy_node()
    for context in contexts:
        rclpy.try_shutdown(context=context)


def options(node):
    found = declare(node, CameraOptions)
    refuse_unknown(node)
    return found


def test_without_overrides_the_dataclass_defaults_hold(node_with):
    node = node_with()
    assert options(node) == CameraOptions()
    assert current(node, CameraOptions) == CameraOptions()


def test_overrides_of_every_type_arrive(node_with):
    given = {"cameras": ["front", "back"], "rate_hz": 10.5, "views": 3, "placement": "tf", "rectified": True}
    assert options(node_with(given)) == CameraOptions(
        cameras=("front", "back"), rate_hz=10.5, views=3, placement="tf", rectified=True
    )


def test_the_command_line_arrives(node_with):
    node = node_with(args=["-p", "cameras:=[front, back]", "-p", "rate_hz:=10.5", "-p", "placement:=tf"])
    assert options(node) == CameraOptions(cameras=("front", "back"), rate_hz=10.5, placement="tf")


def test_a_parameter_file_arrives(node_with, tmp_path):
    file = tmp_path / "rig.yaml"
    file.write_text(
        "/**:\n  ros__parameters:\n    cameras: [a, b]\n    weights: [1, 2]\n    rate_hz: 15\n    use_sim_time: true\n"
    )
    node = node_with(args=["--params-file", str(file)])
    assert options(node) == CameraOptions(cameras=("a", "b"), weights=(1.0, 2.0), rate_hz=15.0)


def test_a_whole_number_does_for_a_fraction(node_with):
    node = node_with(args=["-p", "rate_hz:=10"])
    assert options(node).rate_hz == 10.0
    parameter = node.get_parameter("rate_hz")
    assert (parameter.type_, parameter.value) == (Parameter.Type.DOUBLE, 10.0)


def test_a_fraction_does_not_do_for_a_whole_number(node_with):
    with pytest.raises(OptionError, match=r"'views' is 2\.5, expected int"):
        options(node_with({"views": 2.5}))


def test_an_empty_list_keeps_its_type(node_with):
    node = node_with(args=["-p", "weights:=[]"])
    assert options(node).weights == ()
    assert node.get_parameter("weights").type_ == Parameter.Type.DOUBLE_ARRAY
    assert node.get_parameter("cameras").type_ == Parameter.Type.STRING_ARRAY


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("rate_hz", 500.0, r"'rate_hz' is 500\.0, expected 0\.1 to 240 Hz"),
        ("views", 1, "'views' is 1, expected 2 to inf"),
        ("placement", "TF", "'placement' is 'TF', expected one of auto, tf, file"),
        ("rectified", "auto", "'rectified' is 'auto', expected bool"),
        ("cameras", "front", r"'cameras' is 'front', expected a list such as \[left, right\]"),
        ("cameras", [1, 2], "'cameras' has the element 1, expected each to be str"),
        ("rate_hz", float("nan"), "'rate_hz' is nan"),
    ],
)
def test_what_the_dataclass_refuses_is_refused_in_its_words(name, value, complaint, node_with):
    with pytest.raises(OptionError, match=complaint):
        options(node_with({name: value}))


def test_an_unknown_parameter_is_refused_with_the_nearest_known(node_with):
    with pytest.raises(OptionError, match=r"'under_test': unknown parameter 'placment': did you mean 'placement'\?"):
        options(node_with({"placment": "tf"}))


def test_an_unknown_parameter_like_no_other_lists_those_known(node_with):
    with pytest.raises(
        OptionError, match=r"unknown parameter 'xyzzy': known are cameras, placement, rate_hz.*another node"
    ):
        options(node_with(args=["-p", "xyzzy:=1"]))


ALONE = "/**:\n  ros__parameters: {rate_hz: 12.5, robot: r2}\n"
SHARED = ALONE + "driver:\n  ros__parameters: {gain: !!python/tuple [1, 2]}\n"
OURS = SHARED + "under_test:\n  ros__parameters: {gains: 3}\n"


def test_unknown_parameters_of_a_shared_file_are_reported_and_not_rejected(node_with, tmp_path, capfd):
    file = tmp_path / "shared.yaml"
    file.write_text(SHARED.replace("!!python/tuple ", ""))
    arguments = ["--params-file", str(file)]
    node = node_with(args=arguments)
    assert declare(node, CameraOptions).rate_hz == 12.5
    refuse_unknown(node, arguments)
    assert "parameters for every node (/**) that this one does not know: robot" in capfd.readouterr().err


@pytest.mark.parametrize(("text", "name"), [(ALONE, "robot"), (OURS.replace("!!python/tuple ", ""), "gains")])
def test_what_a_file_gives_to_this_node_is_refused_where_it_is_unknown(node_with, tmp_path, text, name):
    file = tmp_path / "file.yaml"
    file.write_text(text)
    arguments = ["--params-file", str(file)]
    node = node_with(args=arguments)
    declare(node, CameraOptions)
    with pytest.raises(OptionError, match=f"unknown parameter '{name}'"):
        refuse_unknown(node, arguments)


def test_the_files_of_launch_are_read_whatever_their_tags(tmp_path):
    file = tmp_path / "launch_params"
    file.write_text(SHARED)
    assert given_to_all(["node", "--ros-args", "--params-file", str(file)]) == {"rate_hz", "robot"}


def test_ros_own_parameters_pass(node_with):
    own = {
        "use_sim_time": True,
        "start_type_description_service": False,
        "qos_overrides./tf.publisher.depth": 5,
    }
    assert options(node_with(own)) == CameraOptions()


def test_several_dataclasses_share_a_node(node_with):
    node = node_with({"rate_hz": 5.0, "lost_s": 1})
    assert declare(node, CameraOptions).rate_hz == 5.0
    assert declare(node, TrackOptions).lost_s == 1.0
    refuse_unknown(node)


def test_changes_at_run_time_are_checked_and_reported(node_with):
    node, reported, others = node_with(), [], []
    declare(node, CameraOptions, reported.append)
    declare(node, TrackOptions, others.append)
    assert (reported, others) == ([], [])
    assert node.set_parameters([Parameter("rate_hz", value=12)])[0].successful
    assert reported == [CameraOptions(rate_hz=12.0)] == [current(node, CameraOptions)]
    assert others == []


def test_a_refused_change_leaves_everything_as_it_was(node_with):
    node, reported = node_with(), []
    declare(node, CameraOptions, reported.append)
    both = [Parameter("views", value=3), Parameter("placement", value="file")]
    result = node.set_parameters_atomically(both)
    assert (result.successful, result.reason) == (False, "three views and a file do not go together")
    assert current(node, CameraOptions) == CameraOptions()
    assert reported == []
    # Each alone is fine, so it was the pair that was refused.
    assert node.set_parameters_atomically(both[:1]).successful


@pytest.mark.parametrize(
    ("parameter", "reason"),
    [
        (Parameter("cameras", value=["a"]), "'cameras' cannot change now: it is read when the node starts: restart"),
        (Parameter("rate_hz", value=500.0), "out of range"),
        (Parameter("placement", value="TF"), "expected one of auto, tf, file"),
        (Parameter("views", value=1), "expected 2 to inf"),
        (Parameter("views", value="two"), "Wrong parameter type"),
        (Parameter("weights", value=["a"]), "Wrong parameter type"),
    ],
    ids=lambda one: one.name if isinstance(one, Parameter) else one,
)
def test_a_change_that_cannot_be_says_why(parameter, reason, node_with):
    node = node_with()
    declare(node, CameraOptions)
    result = node.set_parameters([parameter])[0]
    assert not result.successful
    assert reason in result.reason
    assert current(node, CameraOptions) == CameraOptions()


def test_a_list_can_be_emptied_and_filled_at_run_time(node_with):
    node = node_with()
    declare(node, CameraOptions)
    for value, expected in (([], ()), ([2, 3], (2.0, 3.0)), ([0.5], (0.5,))):
        assert node.set_parameters([Parameter("weights", value=value)])[0].successful
        assert current(node, CameraOptions).weights == expected


def test_what_another_node_sees_are_descriptions_units_ranges_and_choices(node_with):
    node = node_with()
    declare(node, CameraOptions)
    asking = Node("asking", context=node.context)
    client = asking.create_client(DescribeParameters, "/under_test/describe_parameters")
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    executor.add_node(asking)
    assert client.wait_for_service(timeout_sec=10)
    names = ["rate_hz", "views", "placement", "cameras"]
    future = client.call_async(DescribeParameters.Request(names=names))
    executor.spin_until_future_complete(future, timeout_sec=10)
    rate, views, placement, cameras = future.result().descriptors
    asking.destroy_node()
    executor.shutdown()
    assert (rate.description, rate.type) == ("frame sets a second [Hz]", ParameterType.PARAMETER_DOUBLE)
    assert (rate.floating_point_range[0].from_value, rate.floating_point_range[0].to_value) == (0.1, 240.0)
    assert (views.integer_range, views.additional_constraints) == ([], "at least 2")
    assert placement.additional_constraints == "one of auto, tf, file"
    assert (cameras.type, cameras.additional_constraints) == (
        ParameterType.PARAMETER_STRING_ARRAY,
        "fixed while the node runs",
    )


def test_what_is_fixed_changes_only_while_it_may_and_setting_it_to_what_it_is_is_no_change(node_with):
    node, fix = node_with(), ["clean it up first"]
    declare(node, CameraOptions, fixed=lambda: fix[0])
    both = [Parameter("cameras", value=["a", "b"]), Parameter("views", value=3)]
    result = node.set_parameters_atomically(both)
    assert (result.successful, result.reason) == (False, "parameter 'cameras' cannot change now: clean it up first")
    assert current(node, CameraOptions) == CameraOptions()
    assert node.set_parameters_atomically([Parameter("cameras", Parameter.Type.STRING_ARRAY, []), both[1]]).successful
    fix[0] = ""
    assert node.set_parameters_atomically(both).successful
    assert current(node, CameraOptions) == CameraOptions(cameras=("a", "b"), views=3)
