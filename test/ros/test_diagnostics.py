"""What /diagnostics says, sentence by sentence, with injected time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pose3d_ros.estimation.estimate import Estimate, PeopleReport
from pose3d_ros.estimation.refinement.plan import RefinePlan
from pose3d_ros.estimation.track import no_pose
from pose3d_ros.ros.diagnostics import Level, Record, Result
from pose3d_ros.skeletons import H36M_17


def _result(people: int = 1, decode_ms: float = 2.0, **of_estimate: Any) -> Result:
    """The estimate holds no person: how many there were is the result's to say."""
    estimate = Estimate(no_pose(H36M_17, 0, "map"), {}, {}, {}, 0, **{"rejected": {}, **of_estimate})
    return Result(
        stage_ms={"decode": decode_ms, "detect": 80.0},
        latency_ms=100.0,
        spread_ms=4.0,
        people=people,
        cameras=("left", "right"),
        estimate=estimate,
    )


def test_silence_from_the_start_is_an_error_that_names_the_missing_inputs() -> None:
    health = Record().health(0.0, ["no image on /left/image_raw"], {})
    assert health.level is Level.ERROR
    assert health.message == "no poses yet: no image on /left/image_raw"


def test_a_running_node_is_ok_and_says_its_rate_and_people() -> None:
    record = Record()
    for n in range(11):
        record.processed(0.1 * n, _result())
    health = record.health(1.1, [], {"device": "cpu"})
    assert health.level is Level.OK
    assert health.message == "running: 10.0 frame sets a second, 1 person"
    assert health.values["device"] == "cpu"
    assert health.values["frame_sets/processed"] == "11"
    assert health.values["stage_ms/detect"] == "80.00"
    assert health.values["latency_ms"] == "100.00"


def test_stages_are_medians_not_means() -> None:
    record = Record()
    for n, decode_ms in enumerate((1.0, 2.0, 300.0)):
        record.processed(0.1 * n, _result(decode_ms=decode_ms))
    assert record.health(0.3, [], {}).values["stage_ms/decode"] == "2.00"


def test_a_missing_camera_is_a_warning_while_poses_come() -> None:
    record = Record()
    record.processed(0.0, _result())
    health = record.health(0.4, ["no image on /side/image_raw"], {})
    assert health.level is Level.WARN
    assert health.message == "running, but no image on /side/image_raw"


def test_lifting_from_the_only_camera_left_is_a_warning_that_names_it() -> None:
    record = Record()
    record.processed(0.0, _result(lifted_from="left"))
    health = record.health(0.4, ["no image on /right/image_raw for 2.0 s"], {})
    assert health.level is Level.WARN
    assert health.message == (
        "running, but no image on /right/image_raw for 2.0 s; people are lifted from camera 'left' alone"
    )
    assert health.values["lifted_from"] == "left"
    record.processed(0.6, _result())
    assert record.health(0.7, [], {}).values["lifted_from"] == "none"


def test_a_detector_that_often_swaps_left_and_right_is_a_warning_until_it_does_not() -> None:
    record = Record()
    for n in range(24):
        record.processed(0.1 * n, _result(swapped=("side",) if n >= 20 else ()))
    assert record.health(2.4, [], {}).level is Level.OK  # now and then every detector does
    assert record.health(2.4, [], {}).values["left_right_swapped"] == "side"
    record.processed(2.4, _result(swapped=("side",)))
    health = record.health(2.5, [], {})
    assert health.level is Level.WARN
    assert "swaps left and right in camera 'side' in 5 of 25 frame sets: the swap is undone" in health.message
    for n in range(25, 55):
        record.processed(0.1 * n, _result())
    assert record.health(5.5, [], {}).level is Level.OK


def test_what_people_say_of_the_rig_is_a_warning_and_an_error_where_poses_are_wrong() -> None:
    record, words = Record(), "people are in view of left, right, none has a pose"
    record.processed(0.0, _result(people=0, reports=(PeopleReport((words,), values={"people/up": "+z"}),)))
    health = record.health(0.4, [], {})
    assert (health.level, health.message) == (Level.WARN, f"running, but {words}")
    assert health.values["people/up"] == "+z"
    record.processed(0.6, _result(reports=(PeopleReport(("the rig is 2 times too large",), severe=True),)))
    assert record.health(0.7, [], {}).level is Level.ERROR
    record.processed(0.8, _result())
    assert record.health(0.9, [], {}).level is Level.OK


def test_what_is_waited_for_while_images_come_is_the_nodes_to_say() -> None:
    assert Record(waiting="camera_info is waited for").health(2.0, [], {}).message.endswith("camera_info is waited for")


def test_the_cause_of_a_dropped_frame_is_reported_for_a_while() -> None:
    record = Record()
    record.cause(0.0, "camera 'left': corrupt JPEG")
    record.processed(0.1, _result())
    assert record.health(0.4, [], {}).message == "running, but camera 'left': corrupt JPEG"
    for n in range(10):
        record.processed(1.0 + n, _result())
    assert record.health(10.1, [], {}).level is Level.OK
    assert record.health(10.1, [], {}).values["last_cause"] == "camera 'left': corrupt JPEG"


def test_poses_that_stop_are_an_error_with_the_cause() -> None:
    record = Record()
    record.processed(0.0, _result())
    record.cause(2.0, "zero K")
    health = record.health(2.5, [], {})
    assert health.level is Level.ERROR
    assert health.message == "no poses for 2.5 s: zero K"


def test_joints_are_counted_by_reason() -> None:
    record = Record()
    for _ in range(2):
        record.processed(0.0, _result(rejected={"few_views": 3}))
    assert record.health(0.1, [], {}).values["joints_rejected/few_views"] == "6"


def test_a_frame_set_that_takes_too_long_is_reported() -> None:
    record = Record()
    record.begun(0.0)
    assert "one frame set has been in work for 2.0 s" in record.health(2.0, [], {}).message
    record.ended()
    assert "one frame set" not in record.health(2.0, [], {}).message


def test_what_a_frame_set_takes_is_reported_while_none_comes() -> None:
    record = Record()
    assert (
        "no frame set yet: that takes two cameras' images with stamps within stamp_tolerance_s"
        in record.health(2.0, [], {}).message
    )
    record.count("received")
    assert record.health(2.0, [], {}).message == "no poses yet: images come and are being worked on"


def test_the_refinement_is_reported_with_its_reason_and_its_rejections() -> None:
    record = Record()
    record.processed(0.0, _result())
    assert "refine" not in record.health(0.0, [], {}).values
    plan = RefinePlan("cvugcn", "cvugcn: the rig is such as its weights were trained on")
    for refused in ({"too_far": 2}, {"too_far": 1, "person": 14}):
        record.processed(0.1, replace(_result(refinement=plan, not_refined=refused), stage_ms={"refine": 3.0}))
    health = record.health(0.2, [], {})
    assert health.level is Level.OK
    assert health.values["refine"] == "cvugcn"
    assert health.values["refine/reason"] == plan.reason
    assert health.values["stage_ms/refine"] == "3.00"
    assert (health.values["refine/refused/too_far"], health.values["refine/refused/person"]) == ("3", "14")


def test_a_refinement_that_auto_would_not_take_is_a_warning() -> None:
    record = Record()
    warning = "refine is cvugcn, though auto would not: cvugcn: the rig has 6 cameras"
    record.processed(0.0, _result(refinement=RefinePlan("cvugcn", "refine is cvugcn", warning)))
    health = record.health(0.1, ["no image on /side/image_raw"], {})
    assert health.level is Level.WARN
    assert health.message == f"running, but no image on /side/image_raw; {warning}"


def test_fault_no_image_comes_any_more() -> None:
    """Fault: all cameras stop while the last pose is still young.
    Sees: ERROR within 0.5 s, "no poses for ...: no image on ...".
    Recovers: by itself with the next image and pose.
    """
    record = Record(stale_s=0.5)
    record.heard(0.0)
    record.processed(0.2, _result())
    assert record.health(0.5, [], {}).level is Level.OK
    health = record.health(0.51, ["no image on /left/image_raw for 0.5 s"], {})
    assert (health.level, health.message) == (Level.ERROR, "no poses for 0.3 s: no image on /left/image_raw for 0.5 s")
    assert record.level(0.51) is Level.ERROR
    assert "no image comes that can be used" in record.health(0.51, [], {}).message
    record.heard(0.6)
    assert record.level(0.6) is Level.OK


def test_fault_poses_stop_though_images_come() -> None:
    """Fault: images come, and no frame set gives a pose any more.
    Sees: ERROR after 0.5 s, with the cause.
    Recovers: by itself with the next pose.
    """
    record = Record(stale_s=0.5)
    record.processed(0.0, _result())
    record.heard(0.6)
    record.cause(0.6, "zero K")
    health = record.health(0.6, [], {})
    assert (health.level, health.message) == (Level.ERROR, "no poses for 0.6 s: zero K")


def test_no_negative_time_is_said() -> None:
    """A result may be written down by another thread while the node asks how it stands."""
    record = Record()
    record.heard(0.0)
    record.processed(10.2, _result())
    assert "no poses for 0.0 s" in record.health(10.0, [], {}).message
