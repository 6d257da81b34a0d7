import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_motion import tiny_motion

from pose3d_ros.evaluation import lifter_families, lifter_tables
from pose3d_ros.evaluation.lifters import analytic, human36m, mean_height, misses, oracle, usable_views
from pose3d_ros.evaluation.tables import EvaluationRequest, Table, printed
from pose3d_ros.evaluation.trials import HeldOut
from pose3d_ros.networks.canonical import ROOT, stature, targets
from pose3d_ros.training.lifting import LiftingData
from pose3d_ros.training.rows import NOT_TRAINED

# Joints whose pixel is the joint's: the mean of two pixels is not the pixel of the mean.
MIDDLES = [0, 7, 8]


@pytest.fixture(scope="module")
def data() -> LiftingData:
    return usable_views(human36m(HeldOut(tiny_motion().split("test"), 20, 0), "a"), true_keypoints=True)


def request_of(**changes: object) -> EvaluationRequest:
    return replace(EvaluationRequest(tiny_motion(), Path("motion.npz"), people=6), **changes)


def width(table: Table) -> int:
    return max(len(line) for line in printed(table).splitlines() if line.startswith("|"))


def without_middles(data: LiftingData) -> LiftingData:
    xy = data.xy.clone()
    xy[:, MIDDLES] = math.nan
    return data._replace(xy=xy)


def test_views_are_of_both_held_out_subjects_and_their_four_cameras(data):
    assert len(data.xy) == 2 * 4 * 20
    assert torch.isfinite(data.xy[:, ROOT]).all()


def test_truth_has_no_errors_but_the_pelvis_pixel(data):
    found = misses(targets(data.xyz, data.K), data)
    assert found.mpjpe < 1e-3
    assert found.mrpe < 3.0  # the middle of two pixels
    assert misses(targets(data.xyz, data.K), without_middles(data)).mrpe < 0.5


def test_depth_error_moves_root_and_joints_along_the_ray(data):
    truth = targets(data.xyz, data.K)
    data = without_middles(data)
    depth = 1.1 * data.xyz[:, ROOT, 2]
    off = misses(truth, data, depth=depth)
    assert off.axes[2] == pytest.approx(100.0 * data.xyz[:, ROOT, 2].mean().item(), rel=1e-3)
    assert off.mpjpe < 1e-3
    assert off.mean_absolute == pytest.approx(off.mrpe, rel=1e-3)


def test_oracle_is_exact_with_the_true_size_and_proportional_with_the_mean_size(data):
    exact = without_middles(data)
    assert oracle(exact, None).mrpe < 1.0
    height = stature(data.xyz)
    believed = 1.7
    expected = ((believed / height - 1.0).abs() * data.xyz[:, ROOT].norm(dim=-1)).mean().item()
    assert oracle(exact, believed).mrpe == pytest.approx(1000.0 * expected, rel=0.01)


def test_oracle_ignores_missing_joints(data):
    xy = without_middles(data).xy.clone()
    xy[::2, 3:6] = math.nan
    assert oracle(data._replace(xy=xy), None).mrpe < 1.0


def test_analytic_depth_of_the_true_pose_is_close(data):
    depth = analytic(targets(data.xyz, data.K), data)
    assert (depth - data.xyz[:, ROOT, 2]).abs().mean() < 0.1


def test_mean_height_is_of_training_people():
    motion = tiny_motion()
    people = motion.split("train")
    each = [
        stature(torch.from_numpy(motion.xyz[clip.start : clip.start + clip.length])).mean().item()
        for clip in people.clips
    ]
    assert mean_height(motion) == pytest.approx(np.mean(each), rel=1e-3)


def test_tables_without_networks_explain_how_to_train_them():
    made = list(lifter_tables.tables(request_of(only=("table1", "table2", "table3", "table5"))))
    assert [one.name for one in made] == ["table1", "table2", "table3", "table5"]
    for one in made:
        assert any(NOT_TRAINED in str(row[0]) for row in one.rows)
        assert any("height known" in column for column in one.columns)
        assert len(set(one.columns)) == len(one.columns)  # JSON is by column
    assert "lifter_scale_depth" in made[0].plots
    assert sum("one lens, then any" in str(row[0]) for row in made[3].rows) == 4


def test_tables_of_the_shipped_lifter_measure_the_one_in_runs(tmp_path):
    from pose3d_ros.networks.lifter import AbsPoseLifter, LifterOptions
    from pose3d_ros.networks.spread import LIFTED
    from pose3d_ros.training.spread import start
    from pose3d_ros.weights.trained import save

    torch.manual_seed(0)
    net = AbsPoseLifter(LifterOptions(16, mask=True, height=True, any_focal=True, dropout=0.0)).eval()
    with torch.no_grad():
        net.output_mean[0] = 4.0  # all people at 4 m, at one point
        net.layers[-1].weight.zero_()
        net.layers[-1].bias.zero_()
    folder = tmp_path / "lifter"
    folder.mkdir()
    recipe = {"network": "lifter", "width": 16, "without": [], "form": "any", "dropout": 0.0, "baseline": False}
    save(folder / "lifter.safetensors", net, recipe, start(LIFTED))
    request = request_of(runs=tmp_path, only=lifter_families.TABLES)
    families, coverage, size = lifter_tables.tables(request)
    assert families.rows[0][0] == "mono"
    compact = families.rows[-3]
    assert compact[1] is None  # this motion's people only stand
    for row in (row for row in families.rows if row is not compact):
        assert row[1] > 1.5
        assert 200 < row[2] < 1200  # mm from the pelvis to the other joints
    assert width(families) <= 120
    labels = [row[0] for row in families.rows]
    assert labels[-3:] == ["mono, compact", "mono, rest", "stills (c)"]
    assert all(0 <= row[1] <= 100 for row in coverage.rows)
    assert width(coverage) <= 120
    assert size.rows[0][1] == 16


def test_rows_of_tables_fit_their_columns_and_120_characters(monkeypatch):
    class Truth:
        def lifted(self, data, *, height=False):
            return targets(data.xyz, data.K)

    monkeypatch.setattr(lifter_tables.Bench, "nets", lambda *_: [Truth()])
    one, several = (list(lifter_tables.tables(request_of(only=("table1", "table2", "table3", "table5"), seeds=n)))
                    for n in (1, 2))  # fmt: skip
    for table in one:
        assert width(table) <= 120
        for row in table.rows:
            assert row[table.columns.index("height known")] < 100.0  # mm, of true poses
    assert one[0].columns + lifter_tables.SEEDS == several[0].columns


def test_compact_people_are_measured_apart_from_the_rest():
    def people(compact, miss_m):
        truth = np.tile(np.array([0.0, 0.0, 4.0]), (len(compact), 17, 1))
        xyz = truth + np.array([0.0, 0.0, 1.0]) * np.array(miss_m)[:, None, None]
        flat = np.tile(np.eye(3), (len(compact), 17, 1, 1))
        seen = np.ones((len(compact), 17), dtype=bool)
        return lifter_families.Sights(truth, xyz, xyz, flat, flat, seen, np.array(compact), truth[:, 0, 2])

    views = [people([True, False], [0.1, 0.3]), people([True, True], [0.2, np.nan])]
    row = lifter_families._accuracy_row("compact", views, [one.compact for one in views])
    assert row[3] == pytest.approx(150.0)
    assert row[-1] == pytest.approx(100.0 / 3.0)  # rejected
    others = lifter_families._accuracy_row("others", views, [~one.compact for one in views])
    assert others[3] == pytest.approx(300.0)


def test_unknown_table_is_rejected():
    from pose3d_ros.errors import InputError

    with pytest.raises(InputError, match="table1, table2"):
        list(lifter_tables.tables(request_of(only=("table9",))))
