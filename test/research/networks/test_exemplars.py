import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from people_in_crops import camera, crops, project, rotation

from pose3d_ros.errors import InputError
from pose3d_ros.research.networks.exemplars import DISTANCE_M, Exemplars

K = camera(128)[None]


def at(relative: torch.Tensor, root: tuple[float, float, float]) -> torch.Tensor:
    return relative + torch.tensor(root)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 49), st.floats(0.5, 2.0))
def test_an_exemplar_is_found_again_at_any_size_and_lifted_exactly(number: int, scale: float) -> None:
    poses = crops(50).relative
    library = Exemplars.of(poses)
    xyz = at(poses[number : number + 1], (0.0, 0.0, DISTANCE_M))
    xy, zoomed = project(xyz, K), K * torch.tensor([scale, scale, 1.0])[:, None]
    zoomed_xy = project(xyz, zoomed)
    assert library.nearest(xy, K).tolist() == library.nearest(zoomed_xy, zoomed).tolist() == [number]
    found = library.lift(zoomed_xy, zoomed, xyz[:, 0, 2])
    torch.testing.assert_close(found, poses[number : number + 1], atol=1e-4, rtol=1e-3)


def test_virtual_cameras_find_a_person_who_turned() -> None:
    poses = crops(20).relative
    turned = poses[7:8] @ rotation(torch.tensor([90.0]))[0].T
    library = Exemplars.of(poses, turns=4)
    assert len(library.poses) == 80
    xyz = at(turned, (0.1, 0.0, DISTANCE_M))
    assert library.nearest(project(xyz, K), K).item() == 20 + 7
    torch.testing.assert_close(library.lift(project(xyz, K), K, xyz[:, 0, 2]), turned, atol=1e-3, rtol=1e-3)


def test_x_and_y_are_the_images_and_depths_are_the_exemplars() -> None:
    library = Exemplars.of(crops(30).relative)
    query = crops(1, seed=1)
    found = library.lift(query.xy, query.K, query.xyz[:, 0, 2])
    exemplar = library.poses[library.nearest(query.xy, query.K)]
    torch.testing.assert_close(found[..., 2], exemplar[..., 2])
    root = query.xyz[:, :1] * 1.0
    torch.testing.assert_close(project(found + root, query.K), query.xy, atol=1e-2, rtol=1e-3)


def test_the_nearest_is_that_of_an_exhaustive_search() -> None:
    library = Exemplars.of(crops(40).relative)
    queries = crops(300, seed=2)  # more than one chunk
    shape = Exemplars.of(queries.relative)
    ray = (queries.xy - queries.K[:, None, :2, 2]) / queries.K[:, None, (0, 1), (0, 1)]
    centred = ray - ray.mean(dim=1, keepdim=True)
    centred = centred / centred.norm(dim=-1).square().mean(dim=1).sqrt()[:, None, None]
    distance = (centred.flatten(1)[:, None] - library.shapes).norm(dim=-1)
    assert shape.shapes.shape == (300, 34)
    assert library.nearest(queries.xy, queries.K).tolist() == distance.argmin(dim=1).tolist()


@pytest.mark.parametrize("poses", [torch.zeros(0, 17, 3), torch.zeros(17, 3), torch.full((2, 17, 3), float("nan"))])
def test_a_library_without_poses_is_an_input_error(poses) -> None:
    with pytest.raises(InputError, match="must be finite"):
        Exemplars.of(poses)


@pytest.mark.parametrize("xy", [torch.zeros(1, 16, 2), torch.full((1, 17, 2), float("nan"))])
def test_a_missing_joint_is_an_input_error(xy) -> None:
    with pytest.raises(InputError, match="leave out people"):
        Exemplars.of(crops(2).relative).nearest(xy, K)
