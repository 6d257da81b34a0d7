"""Topics made of cameras' names, and what ROS thinks of them."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.exceptions import InvalidTopicNameException
from rclpy.validate_topic_name import validate_topic_name

from pose3d_ros.errors import OptionError
from pose3d_ros.ros.options import InputOptions


def check_topics(cameras: Sequence[str], options: InputOptions, *, parameter: str) -> None:
    """Raise OptionError where cameras and topic patterns give one topic for all, or none that ROS takes.

    parameter is the one that names the cameras.
    """
    for name in ("image_topic", "camera_info_topic"):
        if len(cameras) > 1 and "{camera}" not in getattr(options, name):
            raise OptionError(
                f"parameter {name!r} is {getattr(options, name)!r}, expected {{camera}} in it, e.g. "
                "'{camera}/image_raw': else all cameras would read one topic"
            )
    for camera in cameras:
        for pattern in ("{camera}/keypoints_2d", options.image_topic, options.camera_info_topic):
            topic = pattern.replace("{camera}", camera)
            try:
                validate_topic_name(topic)
            except InvalidTopicNameException as error:
                raise OptionError(
                    f"camera {camera!r} of the parameter {parameter!r} gives the topic {topic!r}, which ROS does not "
                    f"allow ({str(error).splitlines()[0]}): use letters, digits and _, no digit first"
                ) from error
