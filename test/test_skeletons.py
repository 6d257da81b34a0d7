import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pose3d_ros.errors import InputError
from pose3d_ros.skeletons import COCO_17, H36M_17, LIMB_JOINTS, SKELETONS, WHOLEBODY_133, map_matrix, remap
from pose3d_ros.structures import Keypoints2D, Skeleton


def coco(xy, score=None, **more):
    score = np.ones(xy.shape[:2]) if score is None else score
    return Keypoints2D(xy, score, COCO_17, **more)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_every_skeleton_is_a_tree_with_mirrored_pairs(skeleton):
    assert skeleton.parents.count(-1) == 1
    for joint, parent in enumerate(skeleton.parents):
        for _ in range(skeleton.size):
            parent = skeleton.parents[parent] if parent >= 0 else -1
        assert parent == -1, f"joint {joint} is its own ancestor"
    for left, right in skeleton.left_right:
        assert skeleton.joint_names[left] == "L" + skeleton.joint_names[right][1:]


def test_whole_body_mirrors_as_its_authors_publish_it():
    """COCO-WholeBody's pairs of face points, by their number in the face; the others lie in the middle."""
    pairs = {
        **{n: 16 - n for n in range(8)}, **{n: 43 - n for n in range(17, 22)}, 31: 35, 32: 34,
        **{n: 81 - n for n in range(36, 40)}, 40: 47, 41: 46,
        **{n: 102 - n for n in range(48, 51)}, 55: 59, 56: 58, 60: 64, 61: 63, 65: 67,
    }  # fmt: skip
    body, face, hand = WHOLEBODY_133.left_right[:11], WHOLEBODY_133.left_right[11:40], WHOLEBODY_133.left_right[40:]
    assert body == (*COCO_17.left_right, (17, 20), (18, 21), (19, 22))
    assert {frozenset((one - 23, other - 23)) for one, other in face} == {frozenset(pair) for pair in pairs.items()}
    assert hand == tuple((91 + n, 112 + n) for n in range(21))


@pytest.mark.parametrize("skeleton", [one for one in SKELETONS.values() if one != H36M_17], ids=lambda one: one.name)
def test_limbs_and_nose_of_every_detector_reach_h36m(skeleton):
    xy = np.random.default_rng(3).uniform(0, 1000, (1, skeleton.size, 2))
    mapped = remap(Keypoints2D(xy, np.ones((1, skeleton.size)), skeleton), H36M_17)
    for name in (*LIMB_JOINTS, "Nose"):
        assert (mapped.xy[:, H36M_17.index(name)] == xy[:, skeleton.index(name)]).all(), name
    present = mapped.score[0] > 0
    assert present.sum() == 16 + ("HeadTop" in skeleton.joint_names)


def test_named_joints_keep_their_side_and_place():
    xy = np.random.default_rng(0).uniform(0, 1000, (2, 17, 2))
    mapped = remap(coco(xy), H36M_17)
    for name in (*LIMB_JOINTS, "Nose"):
        assert (mapped.xy[:, H36M_17.index(name)] == xy[:, COCO_17.index(name)]).all(), name


def test_derived_joints_are_the_documented_means_and_headtop_is_absent():
    xy = np.random.default_rng(1).uniform(0, 1000, (1, 17, 2))
    mapped = remap(coco(xy), H36M_17)
    hips = xy[:, [COCO_17.index("LHip"), COCO_17.index("RHip")]].mean(axis=1)
    shoulders = xy[:, [COCO_17.index("LShoulder"), COCO_17.index("RShoulder")]].mean(axis=1)
    assert np.allclose(mapped.xy[:, H36M_17.index("Pelvis")], hips)
    assert np.allclose(mapped.xy[:, H36M_17.index("Thorax")], shoulders)
    assert np.allclose(mapped.xy[:, H36M_17.index("Spine")], (hips + shoulders) / 2)
    assert np.isnan(mapped.xy[:, H36M_17.index("HeadTop")]).all()
    assert mapped.score[0, H36M_17.index("HeadTop")] == 0


def test_a_derived_joint_is_absent_when_one_of_its_sources_is():
    xy = np.ones((1, 17, 2))
    xy[0, COCO_17.index("LHip")] = np.nan
    mapped = remap(coco(xy), H36M_17)
    for name in ("LHip", "Pelvis", "Spine"):
        assert np.isnan(mapped.xy[0, H36M_17.index(name)]).all(), name
    assert np.isfinite(mapped.xy[0, H36M_17.index("Thorax")]).all()


def test_a_derived_joint_is_as_sure_as_its_least_sure_source():
    score = np.ones((1, 17))
    score[0, COCO_17.index("RHip")] = 0.25
    mapped = remap(coco(np.ones((1, 17, 2)), score), H36M_17)
    assert mapped.score[0, H36M_17.index("Pelvis")] == 0.25
    assert mapped.score[0, H36M_17.index("Spine")] == 0.25
    assert mapped.score[0, H36M_17.index("Thorax")] == 1


def test_propagated_covariance_is_that_of_simulated_errors():
    rng = np.random.default_rng(2)
    factor = rng.normal(size=(17, 2, 2))
    covariance = factor @ factor.transpose(0, 2, 1)
    noise = np.einsum("jcd,njd->njc", factor, rng.normal(size=(100_000, 17, 2)))
    errors = np.einsum("kj,njc->nkc", map_matrix(COCO_17, H36M_17), noise)
    empirical = np.einsum("nkc,nkd->kcd", errors, errors) / len(errors)
    mapped = remap(coco(np.zeros((1, 17, 2)), covariance=covariance[None]), H36M_17).covariance[0]
    present = np.isfinite(mapped[:, 0, 0])
    assert present.sum() == 16
    assert np.allclose(mapped[present], empirical[present], rtol=0.05, atol=0.05)


def test_what_is_derived_from_a_joint_of_unknown_covariance_has_none():
    covariance = np.tile(4.0 * np.eye(2), (1, 17, 1, 1))
    covariance[0, COCO_17.index("LHip")] = np.nan
    mapped = remap(coco(np.ones((1, 17, 2)), covariance=covariance), H36M_17)
    for name in ("LHip", "Pelvis", "Spine"):
        assert np.isnan(mapped.covariance[0, H36M_17.index(name)]).all(), name
    assert np.allclose(mapped.covariance[0, H36M_17.index("Thorax")], 2.0 * np.eye(2))
    assert np.isfinite(mapped.xy[0, H36M_17.index("Pelvis")]).all()


@given(arrays(float, (1, 17, 2), elements=st.floats(-1e4, 1e4)), st.floats(-500, 500))
def test_mapping_moves_with_the_image(xy, shift):
    moved = remap(coco(xy + shift), H36M_17).xy
    still = remap(coco(xy), H36M_17).xy + shift
    assert np.allclose(moved, still, equal_nan=True, atol=1e-6)


def test_a_skeleton_with_nothing_in_common_is_refused():
    tail = Skeleton("tail", ("Tip",), (-1,), ())
    with pytest.raises(InputError, match="no joint of 'h36m_17' can be derived from skeleton 'tail'"):
        remap(Keypoints2D(np.zeros((1, 1, 2)), np.ones((1, 1)), tail), H36M_17)
