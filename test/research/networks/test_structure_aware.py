import pytest
import torch
from people_in_crops import crops

from pose3d_ros.research.networks import structure_aware
from pose3d_ros.research.networks.structure_aware import ALL, BOTH, TO_PARENT, TO_ROOT, bones, compositional_loss
from pose3d_ros.skeletons import H36M_17


def shifted(joint: str, by_m: float):
    """A pose in which one joint alone is off in x, and the truth."""
    true = crops(1)
    found = true.relative.clone()
    found[0, H36M_17.index(joint), 0] += by_m
    return found, true


def test_a_bone_points_from_the_joint_to_its_parent() -> None:
    xyz = torch.zeros(1, 17, 3)
    xyz[0, H36M_17.index("RKnee")] = torch.tensor([0.1, 0.2, 0.3])
    knee = [joint for joint, _ in TO_PARENT].index(H36M_17.index("RKnee"))
    ankle = [joint for joint, _ in TO_PARENT].index(H36M_17.index("RAnkle"))
    assert bones(xyz)[0, knee].tolist() == pytest.approx([-0.1, -0.2, -0.3])
    assert bones(xyz)[0, ankle].tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_joints_are_composed_of_bones() -> None:
    true = crops(3)
    torch.testing.assert_close(structure_aware.joints_of(bones(true.xyz)), true.relative)


@pytest.mark.parametrize(
    ("joint", "pairs", "differences"),
    [
        ("RWrist", TO_ROOT, 1),  # itself
        ("RWrist", TO_PARENT, 1),  # its bone
        ("RShoulder", TO_PARENT, 2),  # its bone and the upper arm
        ("Thorax", TO_PARENT, 4),  # its bone, the neck and both shoulders
        ("Thorax", BOTH, 5),
        ("Thorax", ALL, 16),
    ],
)
def test_one_wrong_joint_counts_once_in_each_pair_it_is_part_of(joint, pairs, differences) -> None:
    found, true = shifted(joint, 0.3)
    expected = differences * 0.3 / (3 * len(pairs))
    assert compositional_loss(found, true, pairs).item() == pytest.approx(expected, rel=1e-4)


def test_pairs_are_the_papers() -> None:
    assert (len(TO_ROOT), len(TO_PARENT), len(BOTH), len(ALL)) == (16, 16, 32, 136)


def test_images_without_depth_count_nowhere() -> None:
    found, true = shifted("Nose", 1.0)
    assert compositional_loss(found, true._replace(has_depth=torch.tensor([False]))).item() == 0.0
