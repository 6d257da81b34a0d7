"""Markers of people for RViz."""

from __future__ import annotations

import numpy as np
from people import J, a_pose
from visualization_msgs.msg import Marker

from pose3d_ros.plots.palette import PersonColours, person_number
from pose3d_ros.ros import conversions
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import PersonState


def to_msg(pose, lifetime_s):
    return conversions.markers_to_msg(pose, lifetime_s, PersonColours()(pose.ids))


def markers(pose, ns):
    return [one for one in to_msg(pose, 0.5).markers if one.ns == ns]


def test_every_array_opens_with_delete_all_so_that_an_empty_pose_clears_the_view():
    (only,) = to_msg(a_pose(0), 0.5).markers
    assert (only.action, only.header.frame_id) == (Marker.DELETEALL, "world")
    first, *others = to_msg(a_pose(2), 0.5).markers
    assert first.action == Marker.DELETEALL
    assert all(one.action == Marker.ADD for one in others)


def test_joints_are_spheres_at_present_positions():
    pose = a_pose(2, absent=[(0, 10)])
    first, second = markers(pose, "joints")
    assert first.type == Marker.SPHERE_LIST
    assert (len(first.points), len(first.colors)) == (J - 1, J - 1)
    assert [(p.x, p.y, p.z) for p in second.points] == [tuple(xyz) for xyz in pose.xyz[1].tolist()]
    assert (first.pose.orientation.w, first.scale.x > 0) == (1.0, True)


def test_bones_join_parents_to_children_and_skip_absent_joints():
    pose = a_pose(1, absent=[(0, H36M_17.index("LElbow"))])
    (bones,) = markers(pose, "bones")
    assert bones.type == Marker.LINE_LIST
    ends = [(p.x, p.y, p.z) for p in bones.points]
    expected = [b for b in H36M_17.bones if H36M_17.index("LElbow") not in b]
    assert ends == [tuple(pose.xyz[0, j].tolist()) for bone in expected for j in bone]
    assert len(bones.colors) == len(bones.points)


def test_id_is_written_above_the_head():
    (text,) = markers(a_pose(1), "ids")
    assert (text.type, text.text) == (Marker.TEXT_VIEW_FACING, "1")
    assert text.pose.position.z > a_pose(1).xyz[0, :, 2].max()


def test_no_marker_ever_holds_nan():
    everything_gone = [(0, j) for j in range(J)]
    msg = to_msg(a_pose(2, absent=[*everything_gone, (1, 0)]), 0.5)
    numbers = [n for one in msg.markers for p in one.points for n in (p.x, p.y, p.z)]
    numbers += [n for one in msg.markers for c in one.colors for n in (c.r, c.g, c.b, c.a)]
    assert np.isfinite(numbers).all()
    assert {one.id for one in msg.markers if one.ns} == {2}


def test_ids_and_colours_follow_the_person_and_are_the_same_every_time():
    once, again = (to_msg(a_pose(3), 0.5) for _ in range(2))
    assert once == again
    joints = markers(a_pose(3), "joints")
    assert [one.id for one in joints] == [1, 2, 3]
    colours = [(one.colors[0].r, one.colors[0].g, one.colors[0].b) for one in joints]
    assert len(set(colours)) == 3
    keys = [(one.ns, one.id) for one in once.markers[1:]]
    assert len(set(keys)) == len(keys)


def test_opacity_follows_the_score_and_predicted_people_are_fainter():
    pose = a_pose(1)
    (seen,) = markers(pose, "joints")
    order = np.argsort(pose.score[0])
    alphas = np.array([c.a for c in seen.colors])
    assert (np.diff(alphas[order]) > 0).all()
    (predicted,) = markers(a_pose(1, states=[PersonState.OCCLUDED]), "joints")
    assert all(p.a < s.a for p, s in zip(predicted.colors, seen.colors, strict=True))


def test_markers_end_with_their_lifetime():
    for one in to_msg(a_pose(1), 1.25).markers[1:]:
        assert (one.lifetime.sec, one.lifetime.nanosec) == (1, 250_000_000)
    for one in to_msg(a_pose(1), 0.0).markers[1:]:
        assert one.lifetime.nanosec > 0, "0 would be for ever"


def test_stamp_is_the_capture_stamp():
    for one in to_msg(a_pose(1), 0.5).markers:
        assert conversions.stamp_to_ns(one.header.stamp) == a_pose(1).stamp_ns
        assert one.header.frame_id == "world"


def test_person_with_a_name_has_a_marker_id_too():
    assert person_number("17") == 17
    assert 0 <= person_number("anna") < 2**31
    assert person_number("anna") != person_number("bert")
    assert 0 <= person_number(str(2**40)) < 2**31
