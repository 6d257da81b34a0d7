"""numba and NumPy say the same, and numba is taken only where it is worth it."""

import numpy as np
import pytest
from scenes import displaced, h36m_cameras, joints_on_stage, noisy, seen

from pose3d_ros.geometry import robust, solvers, triangulation
from pose3d_ros.geometry.triangulation import huber_objective, linear_points, triangulate, triangulate_linear


@pytest.fixture(scope="module")
def compiled():
    pytest.importorskip("numba", reason="numba is not installed (the extra `fast`)")
    return solvers.load_compiled()


@pytest.fixture
def with_each(compiled, monkeypatch):
    """Calls a function with NumPy's solver and with the compiled one."""

    def run(function):
        results = []
        for solver in (solvers.PORTABLE, compiled):
            monkeypatch.setattr(triangulation, "solver_for", lambda points, solver=solver: solver)
            results.append(function())
        return results

    return run


def scene(views, outliers=0.0):
    """3,000 joints, some not seen, one camera that sees nothing of them for a while, and weights."""
    cameras = h36m_cameras("S9")[:views]
    xyz = joints_on_stage(3000, 1)
    xy = displaced(noisy(seen(cameras, xyz), 2), outliers, 3)
    hidden = np.random.default_rng(4).random(xy.shape[:-1])
    xy[hidden < 0.05] = np.nan
    return cameras, xyz, xy, np.random.default_rng(5).uniform(0.3, 1.0, xy.shape[:-1])


def same(ours, theirs, atol=1e-9):
    np.testing.assert_array_equal(ours.rejection, theirs.rejection)
    np.testing.assert_array_equal(ours.n_views, theirs.n_views)
    np.testing.assert_allclose(ours.xyz, theirs.xyz, atol=atol)
    np.testing.assert_allclose(ours.covariance, theirs.covariance, rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(ours.reprojection_px, theirs.reprojection_px, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("views", [2, 4])
@pytest.mark.parametrize("max_std_m", [0.012, 0.5, np.inf])
def test_linear_triangulation_is_the_same_compiled(with_each, views, max_std_m):
    cameras, _, xy, weight = scene(views)
    portable, compiled = with_each(lambda: triangulate_linear(cameras, xy, weight, max_std_m=max_std_m))
    same(compiled, portable)


@pytest.mark.parametrize("views", [2, 4])
@pytest.mark.parametrize("outliers", [0.0, 0.05])
def test_robust_triangulation_is_the_same_compiled(with_each, views, outliers):
    cameras, _, xy, weight = scene(views, outliers)
    covariance = np.broadcast_to([[20.0, 4.0], [4.0, 10.0]], (*xy.shape, 2))
    portable, compiled = with_each(lambda: triangulate(cameras, xy, weight, covariance))
    # Where the objective is flat to its last bit, the last step is taken or not by rounding: 1 joint in 1000.
    close = np.abs(portable.xyz - compiled.xyz).max(axis=-1) < 1e-9
    found = np.isfinite(portable.xyz[:, 0])
    assert close[found].mean() > 0.998
    same(compiled, portable, atol=1e-5)
    values = [huber_objective(cameras, xy, one.xyz, weight, covariance)[found] for one in (portable, compiled)]
    np.testing.assert_allclose(*values, rtol=1e-10)


def test_points_that_cannot_be_are_rejected_alike(with_each):
    cameras = h36m_cameras("S9")
    behind = np.array([[0.0, 0.0, 1.0]]) + 50.0  # outside of all cameras, seen by mirrored pixels
    xy = np.stack([np.full((4, 2), np.nan)] * 4)
    xy[0, 0] = 500.0  # one view
    xy[:2, 1] = [[0.0, 0.0], [999.0, 999.0]]
    xy[:, 2] = seen([c.rectified() for c in cameras], behind)[:, 0]
    xy[:, 3] = np.nan
    same(*reversed(with_each(lambda: triangulate(cameras, xy))))
    twins = [cameras[0], cameras[0]]
    portable, compiled = with_each(lambda: triangulate_linear(twins, np.full((2, 5, 2), 400.0)))
    assert (portable.rejection == triangulation.Rejection.RANK).all()
    same(compiled, portable)


@pytest.mark.parametrize("views", [2, 4])
@pytest.mark.parametrize("lenses", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_linear_points_are_those_of_triangulate_linear(with_each, views, lenses, weighted):
    cameras, _, xy, weight = scene(views)
    cameras = cameras if lenses else [camera.rectified() for camera in cameras]
    weight = weight if weighted else None
    for points in with_each(lambda: linear_points(cameras, xy, weight)):
        whole = triangulate_linear(cameras, xy, weight, max_std_m=np.inf).xyz
        judged = np.isfinite(whole[:, 0])
        assert judged.mean() > 0.85  # two views miss a joint 10 times in 100
        np.testing.assert_allclose(points[judged], whole[judged], atol=1e-9)
        assert np.isnan(points[np.isfinite(xy[..., 0]).sum(axis=0) < 2]).all()


def test_linear_points_meet_the_truth_in_any_shape():
    cameras = [camera.rectified() for camera in h36m_cameras("S11")]
    xyz = joints_on_stage(34, 6).reshape(2, 17, 3)
    np.testing.assert_allclose(linear_points(cameras, seen(cameras, xyz)), xyz, atol=1e-9)
    assert linear_points(cameras, np.zeros((4, 0, 2))).shape == (0, 3)


def test_blocks_do_not_show(monkeypatch):
    cameras, _, xy, weight = scene(4, 0.05)
    whole = triangulate(cameras, xy, weight)
    monkeypatch.setattr(triangulation, "BLOCK", 700)
    same(triangulate(cameras, xy, weight), whole, atol=1e-6)


def test_small_batches_do_not_load_numba_and_large_ones_do(monkeypatch):
    asked = []

    def load():
        asked.append(1)

    load.cache_info = lambda: type("Info", (), {"currsize": 0})
    monkeypatch.setattr(solvers, "load_compiled", load)
    assert solvers.solver_for(solvers.WORTH_LOADING - 1) is solvers.PORTABLE
    assert not asked
    assert solvers.solver_for(solvers.WORTH_LOADING) is solvers.PORTABLE  # numba does not work here
    assert asked


def test_without_numba_numpy_solves(monkeypatch):
    monkeypatch.setattr(solvers, "find_spec", lambda name: None)
    assert solvers.load_compiled.__wrapped__() is None
    assert solvers.PORTABLE.linear is robust.linear


def test_fault_constants_of_another_file_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: a constant of geometry/robust.py changes after its compiled twin was kept on disk.
    Sees: nothing: the twin is compiled again, since the folder it is kept in carries the constants.
    Recovers: nothing to recover.
    Kind: K8
    Before: the old constant stayed compiled in, until compiled.py itself changed.
    """
    compiled = pytest.importorskip("pose3d_ros.geometry.compiled")
    before = compiled.cache_folder()
    assert before == compiled.cache_folder()
    functions = [one for one in vars(compiled).values() if hasattr(one, "_cache")]
    assert functions
    if not compiled.numba.config.CACHE_DIR:  # else the user has chosen the folder
        assert all(str(one._cache.cache_path).startswith(before) for one in functions)
    monkeypatch.setattr(compiled, "MAX_STEPS", compiled.MAX_STEPS + 1)
    assert compiled.cache_folder() != before
