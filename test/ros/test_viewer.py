"""The viewer draws what is known, and only this machine can look."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import psutil
import pytest
from graph_for_tests import a_pose, own_context
from rclpy.parameter import Parameter
from scipy.spatial.transform import Rotation

from pose3d_ros.errors import DependencyError
from pose3d_ros.ros import conversions, view_server, viewer
from pose3d_ros.ros.viewer import Viewer, drawing
from pose3d_ros.structures import Floor, PersonState, Pose3D

Draw = Callable[..., None]


def with_absent(pose: Pose3D, joint: str) -> Pose3D:
    xyz = pose.xyz.copy()
    xyz[0, pose.skeleton.index(joint)] = np.nan
    return replace(pose, xyz=xyz)


def test_an_absent_joint_takes_its_bones_with_it() -> None:
    whole = a_pose(1, 0.5)
    joints, bones = drawing(whole, 0)
    assert (joints.shape, bones.shape) == ((17, 3), (16, 2, 3))
    joints, bones = drawing(with_absent(whole, "LElbow"), 0)
    assert (joints.shape, bones.shape) == ((16, 3), (14, 2, 3))
    assert np.isfinite(bones).all()


@pytest.fixture(scope="module")
def shown() -> Iterator[tuple[Viewer, int]]:
    """A viewer, and the port of its page."""
    pytest.importorskip("viser", reason="the live view needs viser: pip install 'pose3d_ros[view]'")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with own_context() as context:
        one = Viewer(context=context, parameter_overrides=[Parameter("port", value=port)])
        yield one, port
        one.close()
        one.destroy_node()


@pytest.fixture
def draw(shown: tuple[Viewer, int]) -> Iterator[Draw]:
    """Hands a message of these people to the viewer; the page is empty afterwards."""

    def take(*people: Pose3D, floor: Floor | None = None) -> None:
        whole = replace(a_pose(10**9, 0.5), floor=floor)
        message = conversions.pose_to_msg(whole, camera_stamps_ns={"left": 10**9}, calibration_hash="test")
        one_each = [conversions.pose_to_msg(one, camera_stamps_ns={}, calibration_hash="").people[0] for one in people]
        message.people = one_each
        shown[0]._take_pose(message)

    yield take
    take()


def person(name: str, **changes: Any) -> Pose3D:
    return replace(a_pose(10**9, 0.5), ids=(name,), **changes)


def test_people_appear_and_vanish_on_a_page_that_only_this_machine_sees(shown: tuple[Viewer, int], draw: Draw) -> None:
    view, port = shown
    listening = [one.laddr for one in psutil.Process().net_connections("tcp") if one.status == "LISTEN"]
    assert [address.ip for address in listening if address.port == port] == ["127.0.0.1"]
    draw(person("7"))
    assert sorted(view._drawn) == ["7"]
    draw()
    assert not view._drawn


def test_grid_lies_on_the_floor_as_soon_as_that_is_known(shown: tuple[Viewer, int], draw: Draw) -> None:
    view, _ = shown
    draw(person("7"))
    assert (view._floor.position == 0).all()
    assert "floor" not in view._status.content
    tilted = Floor(np.array([0.0, 0.6, 0.8, 1.5]), np.diag([1e-4, 1e-4, 0.02**2]))
    draw(person("7"), floor=tilted)
    w, x, y, z = view._floor.wxyz
    grid = Rotation.from_quat([x, y, z, w]).apply(np.random.default_rng(0).uniform(-5, 5, (9, 3)) * [1, 1, 0])
    assert tilted.height(grid + view._floor.position) == pytest.approx(0.0, abs=1e-6)
    assert Rotation.from_quat([x, y, z, w]).apply([0, 0, 1.0]) == pytest.approx([0, 0.6, 0.8])
    assert view._status.content.endswith(", floor known to 2 cm")


def test_floor_is_known_as_well_as_at_its_best_place() -> None:
    """Tilts about a place 100 m away make the height at the origin uncertain, not the floor there."""
    about = np.array([[1.0, 0, 0], [0, 1.0, 0], [-100.0, 0, 1.0]])
    floor = Floor(np.array([0, 0, 1.0, 0]), about @ np.diag([0.01**2, 0.01**2, 0.03**2]) @ about.T)
    assert np.sqrt(floor.covariance[2, 2]) > 0.9
    assert viewer.height_std_m(floor) == pytest.approx(0.03)


def test_fault_view_that_flickers(shown: tuple[Viewer, int], draw: Draw) -> None:
    """Fault: a person walks, loses an elbow and gets it back, is predicted, while another stands still.
    Sees: skeletons that move; name and colour stay, darker while the person is predicted.
    Recovers: nothing to recover.
    Kind: K10
    Before: everything was removed and added again with each message, and flickered.
    """
    view, _ = shown
    draw(person("1"), person("8"))
    before = {name: tuple(map(id, handles)) for name, handles in view._drawn.items()}
    bright = view._drawn["1"][1].colors.copy()
    moved = a_pose(10**9, 0.5).xyz + np.array([1.0, 0.0, 0.0])
    elbow = with_absent(person("1", xyz=moved), "LElbow")
    for walker, joints, bones in ((elbow, 16, 14), (person("1", xyz=moved), 17, 16)):
        draw(walker, person("8"))
        assert {name: tuple(map(id, handles)) for name, handles in view._drawn.items()} == before
        points, lines, label = view._drawn["1"]
        assert (points.points.shape, lines.points.shape) == ((joints, 3), (bones, 2, 3))
        assert label.text == "1"
        assert abs(label.position[0] - (points.points[points.points[:, 2].argmax(), 0])) < 1e-5
        assert np.array_equal(lines.colors, bright)
    assert abs(view._drawn["1"][0].points[:, 0].mean() - moved[0, :, 0].mean()) < 1e-5
    assert not np.array_equal(view._drawn["8"][1].colors, bright), "no two people in one colour"
    draw(person("1", state=np.array([PersonState.OCCLUDED])), person("8"))
    assert view._drawn["1"][1].colors.sum() < 0.6 * bright.sum()


def test_fault_view_of_a_node_that_is_gone(
    shown: tuple[Viewer, int], draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault: the live view is open before poses come, or the node that sent them is killed.
    Sees: "waiting for poses on /human_pose_3d", and no person; while poses come how many people there are.
    Recovers: by itself with the next message.
    Kind: K10
    Before: an empty page, or people who stood still for ever.
    """
    view, _ = shown
    now_s = [0.0]
    monkeypatch.setattr(viewer.time, "monotonic", lambda: now_s[0])
    view._heard_s = -np.inf
    view._look()
    assert view._status.content == "waiting for poses on /human_pose_3d"
    draw(person("7"))
    view._look()
    assert view._status.content.startswith("1 person in frame")
    now_s[0] = 1.5
    view._look()
    assert list(view._drawn) == ["7"], "slow frame sets are no reason"
    now_s[0] = 2.5
    view._look()
    assert not view._drawn
    assert view._status.content == "waiting for poses on /human_pose_3d"
    draw(person("7"))
    assert list(view._drawn) == ["7"]
    draw()
    assert view._status.content.startswith("no people in frame")


def answer(port: int, *headers: str) -> str:
    """The status line to a request for a WebSocket with these headers."""
    lines = [
        "GET / HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *headers, "", "",
    ]  # fmt: skip
    with socket.create_connection(("127.0.0.1", port), timeout=20) as one:
        one.sendall("\r\n".join(lines).encode())
        return one.makefile("rb").readline().decode()


def test_fault_web_page_that_listens_to_the_live_view(shown: tuple[Viewer, int]) -> None:
    """Fault: a web page open in a browser of this machine asks the live view's WebSocket where people are.
    Sees: 403; so does a page under a name that was made to point to 127.0.0.1. The view's own page is served.
    Recovers: nothing to recover.
    Kind: K10
    Before: any page was answered.
    """
    port = shown[1]
    own, near_end = f"Host: 127.0.0.1:{port}", "Host: localhost:9000"  # as ssh -L 9000:127.0.0.1:8080 has it
    for headers in (
        (own, f"Origin: http://127.0.0.1:{port}"), (own,), (near_end, "Origin: http://localhost:9000"),
        (f"Host: [::1]:{port}", f"Origin: http://[::1]:{port}"),
    ):  # fmt: skip
        assert " 101 " in answer(port, *headers), headers
    for headers in (
        (own, "Origin: http://example.com"), (own, "Origin: null"), (own, f"Origin: https://127.0.0.1:{port}"),
        (own, f"Origin: http://127.0.0.1:{port}.example.com"), (own, "Origin: http://127.0.0.1:1"), (own, "Origin:"),
        (own, f"Origin: http://127.0.0.1:{port}", "Origin: http://example.com"),
        (f"Host: example.com:{port}", f"Origin: http://example.com:{port}"), (f"Host: example.com:{port}",),
        (own, f"Origin: http://localhost:{port}"), ("Host: [", f"Origin: http://127.0.0.1:{port}"),
    ):  # fmt: skip
        assert " 403 " in answer(port, *headers), headers


def test_a_viser_that_cannot_be_guarded_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    viser = pytest.importorskip("viser")
    stopped = []

    class Other:
        def __init__(self, **options: Any) -> None:
            self.stop = lambda: stopped.append(self)

    monkeypatch.setattr(viser, "ViserServer", Other)
    with pytest.raises(DependencyError, match=r"pip install 'viser==1.1.1'"):
        view_server.serve(8080)
    assert stopped
