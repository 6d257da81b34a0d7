"""What a subscriber hears of a node that is slower than its cameras, by the machine's own clock."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from known_person import ring
from synthetic_cameras import graph
from tf2_msgs.msg import TFMessage

from pose3d_ros.msg import HumanPose3D, HumanPose3DArray
from pose3d_ros.ros import conversions


def test_fault_node_slower_than_its_cameras_over_dds() -> None:
    """Fault: a frame set takes 0.3 s, then 0.7 s.
    Sees: people OCCLUDED, then LOST, of the age that header.stamp has by the subscriber's clock; no TF of LOST people;
    WARN or ERROR "poses are ... ms old when they leave, expected below 200: detect takes 300 ms: ...".
    Recovers: by itself when the machine keeps up.
    Kind: K1
    Before: VISIBLE, age 0.0.
    """
    slow = {"s": 0.3}
    with graph(
        ring("left", "right"), fixed_frame="world", wall=True, error=lambda frames: time.sleep(slow["s"])
    ) as one:
        heard: list[tuple[float, HumanPose3DArray]] = []  # age by our clock when it came
        frames: list[tuple[int, str]] = []

        def hear(message: HumanPose3DArray) -> None:
            heard.append(((time.time_ns() - conversions.stamp_to_ns(message.header.stamp)) * 1e-9, message))

        def take_tf(message: TFMessage) -> None:
            frames.extend(
                (conversions.stamp_to_ns(each.header.stamp), each.child_frame_id) for each in message.transforms
            )

        one.controller.create_subscription(HumanPose3DArray, "/human_pose_3d", hear, 10)
        one.controller.create_subscription(TFMessage, "/tf", take_tf, 100)
        one.cameras.publish_transforms()

        def until(least: int, least_s: float, fewest: int) -> list[HumanPose3DArray]:
            """Play until so many images' messages have people of that state or a later one; all are as they look.

            Nothing here depends on how fast this machine is: where it is slow, people are older.
            """
            heard.clear()
            one.play_until(lambda: count(lambda p: p.state >= least) >= fewest, f"{fewest} people of state {least}")
            for came_s, message in heard:
                for person in message.people:
                    assert least_s <= person.age <= came_s + 1e-3  # float32
                    assert fits(person.state, person.age)
            return [message for _, message in heard]

        def count(which: Callable[[HumanPose3D], bool]) -> int:
            return sum(any(map(which, message.people)) for _, message in heard if message.camera_names)

        until(HumanPose3D.STATE_OCCLUDED, 0.3, 3)
        one.diagnosis_says("poses are")
        assert "ms old when they leave, expected below 200" in one.controller.message
        assert re.search(r" takes \d{3,} ms: ", one.controller.message)
        slow["s"] = 0.7
        one.play_until(lambda: count(lambda p: p.state == HumanPose3D.STATE_LOST) > 0, "LOST people")
        late = until(HumanPose3D.STATE_LOST, 0.5, 2)
        stamps = {conversions.stamp_to_ns(message.header.stamp) for message in late if message.camera_names}
        assert not [frame for stamp_ns, frame in frames if stamp_ns in stamps and frame.startswith("human_")]
        slow["s"] = 0.0
        one.play_until(lambda: count(lambda p: p.state == HumanPose3D.STATE_VISIBLE) > 0, "VISIBLE people again")


def fits(state: int, age_s: float) -> bool:
    """Whether no person looks fresher than they are, and none is LOST long before their time (one tick, 0.05 s)."""
    if state == HumanPose3D.STATE_LOST:
        return age_s >= 0.45
    return state == HumanPose3D.STATE_OCCLUDED and age_s < 0.5
