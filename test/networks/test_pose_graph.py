import pytest
import torch

from pose3d_ros.networks.graph import (
    KERNELS,
    PART_GRAPH,
    PARTS,
    WHOLE_GRAPH,
    Graph,
    adjacency,
    body_graph,
    normalised,
    normalised_kernels,
    pool,
    unpool,
)
from pose3d_ros.skeletons import H36M_17


def test_normalisation_is_equation_3_on_a_path_of_three_nodes():
    path = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])  # degrees 1, 2, 1
    half = 2**-0.5
    expected = torch.tensor([[0.0, half, 0.0], [half, 0.0, half], [0.0, half, 0.0]])
    torch.testing.assert_close(normalised(path), expected)


def test_node_without_neighbours_stays_finite():
    assert torch.equal(normalised(torch.zeros(2, 2)), torch.zeros(2, 2))


@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_of_two_views_is_normalised_symmetrically(name):
    tiny = Graph(size=4, edges=((0, 1), (1, 2), (1, 3)), mirrored=((2, 3),))
    A = adjacency(tiny, views=2)[name]
    D = A.sum(dim=1)
    for i in range(8):
        for j in range(8):
            expected = A[i, j] / (D[i] * D[j]).sqrt() if A[i, j] else torch.tensor(0.0)
            torch.testing.assert_close(normalised(A)[i, j], expected)
    assert torch.equal(A, A.T)


def test_kernels_of_a_small_body_are_as_drawn():
    """A trunk 0-1 with two mirrored limbs 2 and 3 on node 1."""
    kernels = adjacency(Graph(size=4, edges=((0, 1), (1, 2), (1, 3)), mirrored=((2, 3),)), views=1)
    edges = {name: {(i, j) for i, j in kernel.nonzero().tolist() if i <= j} for name, kernel in kernels.items()}
    assert edges == {
        "self": {(0, 0), (1, 1), (2, 2), (3, 3)},
        "physical": {(0, 1), (1, 2), (1, 3)},
        "second_order": {(0, 2), (0, 3)},  # 2-3 too is two bones apart, but it is the mirrored pair
        "symmetric": {(2, 3)},
        "view": set(),
    }


def test_views_meet_only_in_the_same_joint():
    kernels = adjacency(body_graph(H36M_17), views=3)
    across = torch.ones(51, 51) - torch.kron(torch.eye(3), torch.ones(17, 17))
    for name in ("self", "physical", "second_order", "symmetric"):
        assert not (kernels[name] * across).any()
    assert torch.equal(kernels["view"].sum(dim=1), torch.full((51,), 2.0))
    assert kernels["view"][3, 17 + 3] == 1


def test_no_two_kernels_hold_the_same_edge():
    for graph in (body_graph(H36M_17), PART_GRAPH):
        assert sum(adjacency(graph, views=2).values()).max() == 1


def test_kernels_that_join_nothing_are_left_out():
    assert len(normalised_kernels(body_graph(H36M_17), views=1)) == 4
    assert len(normalised_kernels(body_graph(H36M_17), views=2)) == 5
    assert len(normalised_kernels(PART_GRAPH, views=2)) == 5
    assert len(normalised_kernels(WHOLE_GRAPH, views=2)) == 2


def test_five_parts_are_the_limbs_and_the_trunk():
    names = [{H36M_17.joint_names[joint] for joint in part} for part in PARTS]
    assert names == [
        {"LShoulder", "LElbow", "LWrist"},
        {"RShoulder", "RElbow", "RWrist"},
        {"LHip", "LKnee", "LAnkle"},
        {"RHip", "RKnee", "RAnkle"},
        {"Pelvis", "Spine", "Thorax", "Nose", "HeadTop"},
    ]


def test_pooling_takes_the_maximum_of_a_part_and_unpooling_gives_it_back_to_each_joint():
    h = torch.arange(17.0).reshape(1, 1, 17, 1)
    pooled = pool(h, PARTS)
    assert pooled.flatten().tolist() == [13, 16, 6, 3, 10]
    back = unpool(pooled, PARTS).flatten()
    assert back[[0, 7, 10]].tolist() == [10, 10, 10]
    assert back[[1, 5, 12, 14]].tolist() == [3, 6, 13, 16]
