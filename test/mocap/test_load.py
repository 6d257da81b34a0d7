"""BVH: joints where geometry says they are, in metres, z up, left on the left."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from synthetic_people import STANDING

from pose3d_ros.errors import InputError
from pose3d_ros.mocap.bvh import read_bvh
from pose3d_ros.mocap.load import from_bvh, load_captures, load_motion
from pose3d_ros.recordings.writers.bvh_file import write_bvh as write_own_bvh
from pose3d_ros.recordings.writers.person_tracks import PersonTrack
from pose3d_ros.skeletons import H36M_17, LIMB_JOINTS


def write_bvh(
    path, scale=100.0, names=("LeftUpLeg", "LeftLeg", "LeftFoot", "LeftArm", "LeftForeArm", "LeftHand"), rows=1
):
    """A standing person of BVH joints in cm, facing z, arms out; one row of zeros but for the left knee at 90."""
    up, leg, foot, arm, fore, hand = names

    def chain(parts, indent):
        (name, offset), rest = parts[0], parts[1:]
        pad = "  " * indent
        kind = f"JOINT {name}" if name else "End Site"
        body = [f"{pad}{kind}", f"{pad}{{", f"{pad}  OFFSET {' '.join(f'{scale * x:.6f}' for x in offset)}"]
        if name:
            body.append(f"{pad}  CHANNELS 3 Zrotation Xrotation Yrotation")
        return body + (chain(rest, indent + 1) if rest else []) + [f"{pad}}}"]

    def side(sign, text):
        return text.replace("Left", "Right").replace("left", "right") if sign < 0 else text

    lines = ["HIERARCHY", "ROOT Hips", "{", "  OFFSET 0 0 0",
             "  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation"]  # fmt: skip
    for sign in (1, -1):
        legs = [(side(sign, up), (0.1 * sign, 0, 0)), (side(sign, leg), (0, -0.4, 0)),
                (side(sign, foot), (0, -0.42, 0)), ("", (0, 0, 0.1))]  # fmt: skip
        lines += chain(legs, 1)
    lines += ["  JOINT Spine", "  {", f"    OFFSET 0 {0.5 * scale} 0", "    CHANNELS 3 Zrotation Xrotation Yrotation"]
    for sign in (1, -1):
        arms = [(side(sign, arm), (0.18 * sign, 0, 0)), (side(sign, fore), (0.28 * sign, 0, 0)),
                (side(sign, hand), (0.25 * sign, 0, 0)), ("", (0.1 * sign, 0, 0))]  # fmt: skip
        lines += chain(arms, 2)
    lines += [*chain([("Head", (0, 0.12, 0)), ("", (0, 0.18, 0))], 2), "  }", "}"]
    joints = 1 + 3 + 3 + 1 + 3 + 3 + 1
    row = np.zeros(3 + 3 * joints)
    row[1] = 0.9 * scale
    row[3 + 3 * 2 + 1] = 90.0  # Hips, LeftUpLeg, LeftLeg: its Xrotation
    lines += ["MOTION", f"Frames: {rows}", "Frame Time: 0.0083333", *[" ".join(map(str, row))] * rows]
    path.write_text("\n".join(lines))
    return path


def test_bvh_channels_turn_along_with_the_axes(tmp_path):
    path = tmp_path / "arm.bvh"
    path.write_text(
        "HIERARCHY ROOT a { OFFSET 1 2 3 CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation "
        "JOINT b { OFFSET 0 5 0 CHANNELS 3 Zrotation Xrotation Yrotation End Site { OFFSET 1 1 0 } } } "
        "MOTION Frames: 1 Frame Time: 0.02 10 20 30 40 50 60 15 25 35"
    )
    motion = read_bvh(path)
    root, child = Rotation.from_euler("ZXY", (40, 50, 60), degrees=True), Rotation.from_euler("ZXY", (15, 25, 35), True)
    b = np.array([11, 22, 33]) + root.apply((0, 5, 0))
    np.testing.assert_allclose(motion.position["b"][0], b)
    np.testing.assert_allclose(motion.position["b end"][0], b + (root * child).apply((1, 1, 0)))
    assert motion.fps == 50


@pytest.mark.parametrize("unit", [1.0, 100.0, 1000.0, 1 / 0.0254, 0.45 / 0.0254])
def test_bvh_person_has_metres_whatever_the_file_s_unit(tmp_path, unit):
    xyz, fps = from_bvh(write_bvh(tmp_path / "walk.bvh", unit))
    body = dict(zip(H36M_17.joint_names, xyz[0], strict=True))
    assert fps == pytest.approx(120, rel=1e-3)
    np.testing.assert_allclose(body["RAnkle"] - body["RHip"], (0, 0, -0.82), atol=1e-6)
    np.testing.assert_allclose(body["LAnkle"] - body["LKnee"], (-0.42, 0, 0), atol=1e-6)  # bent: the shin points back
    np.testing.assert_allclose(body["LWrist"] - body["LShoulder"], (0, 0.53, 0), atol=1e-6)
    assert body["Nose"][0] > body["Thorax"][0] + 0.05  # the front is x where the file's z was
    np.testing.assert_allclose(body["HeadTop"] - body["Thorax"], (0, 0, 0.36), atol=1e-6)


def test_our_own_export_comes_back_in_its_world(tmp_path):
    """It has no head: the crown is put over the nose; all other joints are where they were."""
    truth = np.repeat(STANDING[None] + (1.5, -0.7, 0.0), 30, axis=0)
    truth[..., 0] += np.linspace(0.0, 0.4, 30)[:, None]
    estimated = truth.copy()
    estimated[:, H36M_17.index("HeadTop")] = np.nan  # as of all detectors of COCO-17
    write_own_bvh(PersonTrack("1", H36M_17, estimated, rate_hz=12.0, first=0, start_s=0.0), tmp_path / "own.bvh")
    xyz, fps = from_bvh(tmp_path / "own.bvh")
    assert fps == pytest.approx(12.0, rel=1e-3)
    limbs = [H36M_17.index(name) for name in LIMB_JOINTS]
    np.testing.assert_allclose(xyz[:, limbs], truth[:, limbs], atol=0.02)
    crown, nose = xyz[:, H36M_17.index("HeadTop")], xyz[:, H36M_17.index("Nose")]
    np.testing.assert_allclose(nose, truth[:, H36M_17.index("Nose")], atol=0.02)
    assert ((crown - nose)[:, 2] > 0.1).all()


@pytest.mark.parametrize(
    "names",
    [
        ("mixamorig:LeftUpLeg", "mixamorig:LeftLeg", "mixamorig:LeftFoot", "mixamorig:LeftArm", "mixamorig:LeftForeArm",
         "mixamorig:LeftHand"),
        ("LeftHip", "LeftKnee", "LeftAnkle", "LeftShoulder", "LeftElbow", "LeftWrist"),
    ],
)  # fmt: skip
def test_usual_names_of_bvh_joints_are_known(tmp_path, names):
    plain, _ = from_bvh(write_bvh(tmp_path / "a.bvh"))
    other, _ = from_bvh(write_bvh(tmp_path / "b.bvh", names=names))
    np.testing.assert_allclose(other, plain)


def test_folders_name_subject_and_split(tmp_path):
    for place in ("train/ann", "test/ben"):
        (tmp_path / place).mkdir(parents=True)
        write_bvh(tmp_path / place / "walk.bvh", rows=25)
    motion = load_motion(tmp_path)
    assert {(clip.subject, clip.split, clip.length) for clip in motion.clips} == {
        ("ann", "train", 3),
        ("ben", "test", 3),
    }


def test_only_folders_below_the_given_one_name_the_split_and_none_of_them_the_subject(tmp_path):
    top = tmp_path / "test" / "captures"
    for split, name in (("train", "anna_walk"), ("train", "bob_walk"), ("val", "cara_walk")):
        (top / split).mkdir(parents=True, exist_ok=True)
        write_bvh(top / split / f"{name}.bvh")
    found = {(clip.subject, clip.split) for clip in load_captures(top).clips}
    assert found == {("anna", "train"), ("bob", "train"), ("cara", "val")}


def test_unreadable_file_is_rejected(tmp_path):
    with pytest.raises(InputError, match=r"holds no \.bvh file"):
        load_captures(tmp_path)
    (tmp_path / "a.bvh").write_text("HIERARCHY ROOT a { OFFSET 0 0 0 MOTION Frames: 1 Frame Time: 0.1 0")
    with pytest.raises(InputError, match="not a readable BVH file"):
        read_bvh(tmp_path / "a.bvh")
    write_bvh(tmp_path / "a.bvh", names=("x1", "x2", "x3", "x4", "x5", "x6"))
    with pytest.raises(InputError, match="no joint for left hip"):
        from_bvh(tmp_path / "a.bvh")
