"""Images of planned scenes depend on nothing but the request, and fit the truth."""

from __future__ import annotations

import sys
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest
from rendered_people import NEEDS_RENDER, request_of

from pose3d_ros.errors import DependencyError, OutOfMemoryError
from pose3d_ros.geometry.projection import project
from pose3d_ros.mocap.generated import generated_motion
from pose3d_ros.simulation.rendering import renderer as rendering
from pose3d_ros.simulation.rendering.renderer import Renderer
from pose3d_ros.simulation.rendering.scenes import Plan, plan_scene
from pose3d_ros.simulation.rendering.tracing import Visibility


@pytest.fixture(scope="session")
def motion():
    return generated_motion(2, subjects=3)


def images(renderer: Renderer, plans: list[Plan]) -> list[bytes]:
    return [image.tobytes() for plan in plans for frame in renderer.frames(plan) for image in frame.images.values()]


@NEEDS_RENDER
def test_images_depend_on_the_request_alone(motion):
    """Not on when, on how many processes render, or on what was rendered before; two seeds of one scene's number."""
    plans = [plan_scene(request_of(seed=seed), motion) for seed in (0, 1)]
    again = [plan_scene(request_of(seed=seed), motion) for seed in (0, 1)]
    with Renderer(1) as alone, Renderer(2) as together:
        first = images(alone, plans)
        assert len(set(first)) == 8  # two scenes, two frames, two cameras
        assert images(alone, again[::-1]) == first[4:] + first[:4]
        assert images(together, plans) == first


@NEEDS_RENDER
def test_a_worker_that_was_killed_is_one_line(motion):
    class Killed:
        def submit(self, *work):
            raise BrokenProcessPool("a child process terminated abruptly")

        def shutdown(self, **how):
            pass

    plan = plan_scene(request_of(), motion)
    with Renderer(1) as renderer:
        renderer._pool = Killed()
        with pytest.raises(OutOfMemoryError, match="fewer --jobs"):
            next(renderer.frames(plan))


@NEEDS_RENDER
def test_truth_of_a_frame_fits_its_images(motion):
    plan = plan_scene(request_of(people=2), motion)
    with Renderer(1) as renderer:
        frames = list(renderer.frames(plan))
    for number, frame in enumerate(frames):
        for view, camera in enumerate(plan.rig.cameras):
            assert frame.images[camera.name].shape == (*camera.size_wh[::-1], 3)
            for person, body in enumerate(plan.bodies):
                px = project(camera, body.coco[number])
                inside = ((px > -0.5) & (px < np.array(camera.size_wh) - 0.5)).all(axis=-1)
                assert ((frame.visibility[view, person] != Visibility.OUTSIDE) == inside).all()
                left, top, right, bottom = frame.boxes_px[view, person]
                assert (px[inside] >= np.array([left, top]) - 0.5).all()
                assert (px[inside] <= np.array([right, bottom]) + 0.5).all()
    seen = np.stack([frame.visibility for frame in frames])
    assert (seen == Visibility.VISIBLE).mean() > 0.3


@NEEDS_RENDER
def test_missing_embree_is_named_before_bodies_are_loaded(monkeypatch):
    def loaded():
        raise AssertionError("bodies were loaded")

    monkeypatch.setitem(sys.modules, "embreex", None)
    monkeypatch.setattr(rendering, "template", loaded)
    with pytest.raises(DependencyError, match=r"pose3d_ros\[render\]"):
        Renderer(1)
