"""`pose3d reproduce`: papers' tables from data sets written here, with errors known by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_motion
from scipy.io import savemat

from pose3d_ros import cli
from pose3d_ros.errors import InputError
from pose3d_ros.geometry.projection import project_views
from pose3d_ros.research.data_sets import DATA_SETS
from pose3d_ros.research.datasets import human36m, shelf_campus
from pose3d_ros.research.datasets.containers import INSTALL
from pose3d_ros.research.datasets.human36m_cameras import CAMERAS
from pose3d_ros.research.papers import TABLES, paper_table
from pose3d_ros.research.reproduce import BENCHMARKS, Request, reproduce, root_errors
from pose3d_ros.simulation.simulated_rigs import PAIRS, h36m_rig

ACTIONS = ("Eating", "Waiting 1")  # of S9 the second is displaced
FRAMES = 70


def people() -> np.ndarray:
    """(70, 17, 3) m: someone who sways at the middle of the room."""
    return tiny_motion.arrays(FRAMES, 1)["xyz"].astype(np.float64)


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """Human3.6M in Martinez's form: two trials of S9 and one of S11, with their cameras."""
    h5py = pytest.importorskip("h5py", reason=INSTALL)
    points = np.zeros((FRAMES, 32, 3))
    points[:, human36m.JOINTS] = 1000 * people()
    for subject, actions in (("S9", ACTIONS), ("S11", ACTIONS[:1])):
        folder = tmp_path / subject / "MyPoses/3D_positions"
        folder.mkdir(parents=True)
        for action in actions:
            with h5py.File(folder / f"{action.replace(' ', '_')}.h5", "w") as file:
                file["3D_positions"] = points.reshape(FRAMES, -1).T
    with h5py.File(tmp_path / "cameras.h5", "w") as file:
        for subject in (9, 11):
            for number, camera in enumerate(h36m_rig(f"S{subject}").rig.cameras, 1):
                k1, k2, p1, p2, k3 = camera.distortion
                values = {"R": camera.cam_from_world[:3, :3].T, "T": 1000 * camera.centre, "f": np.diag(camera.K)[:2],
                          "c": camera.K[:2, 2], "k": [k1, k2, k3], "p": [p1, p2]}  # fmt: skip
                for name, value in values.items():
                    file[f"subject{subject}/camera{number}/{name}"] = value
    return tmp_path


def detections(folder: Path, shift_px: float = 0.0) -> Path:
    """What the cameras see, all of it shifted to the right."""
    found = {}
    for key, subject in (("S9/Eating", "S9"), ("S9/Waiting 1", "S9"), ("S11/Eating", "S11")):
        views = project_views(h36m_rig(subject).rig.cameras, people())
        for camera, xy in zip(CAMERAS, views, strict=True):
            found[f"{key}/{camera}"] = xy + np.array([shift_px, 0])
    np.savez(folder / "detected.npz", **found)
    return folder / "detected.npz"


def ours(paper: str, name: str, request: Request) -> list[dict[str, object]]:
    made = reproduce(paper_table(paper, name), request)
    rows = [dict(zip(made.columns, row, strict=True)) for row in made.rows]
    return [row for row in rows if row["source"] == "ours"]


def test_published_figures_fit_their_columns_and_their_averages() -> None:
    for table in TABLES:
        assert table.benchmark in BENCHMARKS
        assert table.data in DATA_SETS
        for label, values in table.published:
            assert len(values) == len(table.columns), (table.paper, table.name, label)
    for name in ("protocol1", "protocol2"):
        for label, values in paper_table("martinez", name).published:
            assert np.mean(values[:-1]) == pytest.approx(values[-1], abs=0.06), label
    (_, humaneva), *_ = paper_table("martinez", "humaneva").published
    assert np.mean(humaneva[:-1]) == pytest.approx(humaneva[-1], abs=0.06)


def test_exact_detections_triangulate_to_the_truth(room: Path) -> None:
    (row,) = ours("iskakov", "absolute", Request(room, detections=detections(room)))
    assert row["Eating"] == pytest.approx(0, abs=1e-3)
    assert row["Waiting"] is None  # S9's displaced trial does not count, S11's is not there
    (row,) = ours("iskakov", "relative", Request(room, detections=detections(room)))
    assert row["Waiting"] == pytest.approx(0, abs=1e-3)


def test_shifted_detections_cost_as_much_as_their_shift_in_space(room: Path) -> None:
    # 10 px at 5 m and 1145 px of focal length are 44 mm across for each camera; four around a person mostly disagree.
    (row,) = ours("iskakov", "absolute", Request(room, detections=detections(room, 10.0), every=10))
    assert 5 < row["average"] < 60


def test_without_keypoints_or_results_the_error_names_the_options(room: Path) -> None:
    with pytest.raises(InputError, match=r"S9/Eating has no keypoints: .*--detections or --predictions"):
        reproduce(paper_table("iskakov", "absolute"), Request(room))


def test_results_of_any_method_are_scored(room: Path) -> None:
    rig = h36m_rig("S9").rig
    moved = people() + np.array([0.03, 0, 0])
    in_camera = people() @ rig.cameras[1].cam_from_world[:3, :3].T + rig.cameras[1].cam_from_world[:3, 3]
    turned = 2 * in_camera @ np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    np.savez(room / "mine.npz", **{"S9/Eating": moved, "S11/Eating": moved[:, None]})
    (row,) = ours("iskakov", "absolute", Request(room, predictions=room / "mine.npz"))
    assert (row["method"], row["Eating"], row["average"]) == ("mine", pytest.approx(30), pytest.approx(30))
    (row,) = ours("iskakov", "relative", Request(room, predictions=room / "mine.npz"))
    assert row["Eating"] == pytest.approx(0, abs=1e-6)
    np.savez(room / "mono.npz", **{f"S9/Eating/{CAMERAS[1]}": turned})
    (row,) = ours("martinez", "protocol2", Request(room, predictions=room / "mono.npz"))
    assert row["Eating"] == pytest.approx(0, abs=1e-6)
    (row,) = ours("martinez", "protocol1", Request(room, predictions=room / "mono.npz"))
    assert row["Eating"] > 100


def test_results_of_counted_frames_alone_are_enough(room: Path) -> None:
    """Of 70 frames Sun et al.'s protocol counts the first and the 65th."""
    moved = people()[[0, 64]]
    moved[1, 1:] += (0, 0, 0.1)  # all joints but the root of one of two frames
    np.savez(room / "mine.npz", **{"S9/Eating": moved})
    (row,) = ours("sun", "integral", Request(room, predictions=room / "mine.npz"))
    assert row["Eating"] == pytest.approx(100 * 16 / 17 / 2)
    np.savez(room / "mine.npz", **{"S9/Eating": people()[:3]})
    with pytest.raises(InputError, match="S9/Eating of the results has 3 frames, expected 70, or the 2 that count"):
        ours("sun", "integral", Request(room, predictions=room / "mine.npz"))


def test_joints_without_an_estimate_are_reported(room: Path) -> None:
    poses = people()
    poses[:, 3:] = np.nan
    np.savez(room / "mine.npz", **{"S9/Eating": poses})
    table = reproduce(paper_table("iskakov", "relative"), Request(room, predictions=room / "mine.npz"))
    assert "mine: 82.4 % of the joints have no estimate." in table.note


def test_results_of_other_sequences_or_shapes_are_rejected(room: Path) -> None:
    table = paper_table("iskakov", "relative")
    np.savez(room / "mine.npz", **{"S9_Eating": people()})
    with pytest.raises(InputError, match="no array of the results is named after a sequence: there are S9_Eating"):
        reproduce(table, Request(room, predictions=room / "mine.npz"))
    np.savez(room / "mine.npz", **{"S9/Eating": people()[:, :16]})
    with pytest.raises(InputError, match=r"S9/Eating of the results is \(70, 16, 3\)"):
        reproduce(table, Request(room, predictions=room / "mine.npz"))
    np.savez(room / "mine.npz", **{"S9/Eating": np.array(["x"])})
    with pytest.raises(InputError, match="expected numbers"):
        reproduce(table, Request(room, predictions=room / "mine.npz"))
    with pytest.raises(InputError, match="cannot be made by 'lifter': use triangulation"):
        reproduce(table, Request(room, methods=("lifter",)))


def test_the_shipped_networks_run_on_the_data_set(room: Path) -> None:
    """On exact keypoints: refined pairs stay near the truth, lifted people are people of about that size and place."""
    request = Request(room, detections=detections(room), every=35)
    plain, refined = ours("cvugcn", "pairs", request)
    assert plain["average"] < 0.1
    assert 0 < refined["average"] < 40
    (lifted,) = ours("abslifter", "detected", request)
    assert 10 < lifted["MPJPE mm"] < 200
    assert lifted["MRPE mm"] < 1000


def test_every_pair_counts_once(room: Path) -> None:
    from pose3d_ros.research.estimates import PAIRED, estimates, with_detections
    from pose3d_ros.research.results import read_detections

    sequence = next(human36m.sequences(room, ["S9"]))
    found = list(estimates(PAIRED, with_detections(sequence, read_detections(detections(room)))))
    assert len(found) == len(PAIRS)


def test_root_errors_are_of_the_other_joints_and_of_the_pelvis(room: Path) -> None:
    from pose3d_ros.research.protocols.scored import Scored

    sequence = next(human36m.sequences(room, ["S9"]))
    estimate = sequence.xyz + np.array([0, 0.3, 0.4])
    estimate[:, :, 5, 0] += 0.16
    found = root_errors([Scored(sequence, estimate)])
    assert found["MRPE mm"] == pytest.approx(500)
    assert found["MPJPE mm"] == pytest.approx(10)  # one of 16 joints


def test_shelf_results_are_matched_to_actors(tmp_path: Path) -> None:
    frames = 620
    truth = np.random.default_rng(0).normal(0, 0.3, (frames, 14, 3))
    column = np.empty((frames, 1), dtype=object)
    for frame in range(frames):
        column[frame, 0] = truth[frame]
    other = np.empty((frames, 1), dtype=object)
    other[:, 0] = [np.zeros((1, 0))] * frames
    actors = np.empty((1, 2), dtype=object)
    actors[0, 0], actors[0, 1] = column, other
    savemat(tmp_path / "actorsGT.mat", {"actor3D": actors})
    shelf = tmp_path.rename(tmp_path.with_name("Shelf"))
    found = np.stack([np.full((frames, 14, 3), 9.0), truth], axis=1)
    found[300:450, 1, shelf_campus.JOINTS.index("HeadTop")] += 50
    np.savez(shelf / "mine.npz", **{"Shelf/all": found})
    (row,) = ours("voxelpose", "shelf", Request(shelf, predictions=shelf / "mine.npz"))
    # 150 of the 301 frames that count have a wrong head, one limb of ten.
    assert row["actor 1"] == pytest.approx(100 - 10 * 150 / 301)
    assert row["head"] == pytest.approx(100 * 151 / 301)
    assert np.isnan(row["actor 2"])
    with pytest.raises(InputError, match="needs images: give results of a method with --predictions"):
        reproduce(paper_table("voxelpose", "shelf"), Request(shelf))


def test_mpii_and_coco_results(tmp_path: Path) -> None:
    (tmp_path / "annot").mkdir()
    joints = (np.arange(32).reshape(16, 2) * 10 + 1).tolist()
    people_of = [{"image": f"{number}.jpg", "joints": joints, "joints_vis": [1] * 16} for number in range(2)]
    (tmp_path / "annot/valid.json").write_text(json.dumps(people_of))
    savemat(tmp_path / "annot/gt_valid.mat", {"headboxes_src": np.array([[[0.0, 0], [0, 0]], [[60, 60], [80, 80]]])})
    xy = np.tile(np.arange(32).reshape(16, 2) * 10.0, (2, 1, 1))
    xy[1, 9] += (31, 0)  # half of a head is 30 px
    np.savez(tmp_path / "mine.npz", xy=xy)
    (row,) = ours("xiao", "mpii", Request(tmp_path, predictions=tmp_path / "mine.npz"))
    assert (row["head"], row["ankle"]) == (50, 100)

    (tmp_path / "annotations").mkdir()
    keypoints = np.c_[np.arange(34).reshape(17, 2) * 10, np.full(17, 2)].ravel().tolist()
    person = {"id": 1, "image_id": 5, "keypoints": keypoints, "area": 1e4, "bbox": [0, 0, 330, 340], "iscrowd": 0}
    labels = {"images": [{"id": 5, "file_name": "5.jpg"}], "annotations": [person]}
    (tmp_path / "annotations/person_keypoints_val2017.json").write_text(json.dumps(labels))
    result = [{"image_id": 5, "category_id": 1, "keypoints": keypoints, "score": 0.9}]
    (tmp_path / "mine.json").write_text(json.dumps(result))
    (row,) = ours("xiao", "coco", Request(tmp_path, predictions=tmp_path / "mine.json"))
    assert (row["AP"], row["AR"], row["AP large"]) == (pytest.approx(100), 100, pytest.approx(100))
    (tmp_path / "mine.json").write_text(json.dumps([dict(result[0], image_id=6)]))
    with pytest.raises(InputError, match="image 6 is not among the labelled ones"):
        ours("xiao", "coco", Request(tmp_path, predictions=tmp_path / "mine.json"))


def test_the_command_lists_and_prints_and_writes(
    room: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(["reproduce"]) == 0
    listed = capsys.readouterr().out
    assert all(f"| {table.paper} " in listed and table.title in listed for table in TABLES)
    assert all(known.site in listed and known.forms[0][1] in listed for known in DATA_SETS.values())
    words = ["reproduce", "iskakov", "relative", "--data", str(room), "--detections", str(detections(room))]
    assert cli.main([*words, "--every", "20", "--json", str(tmp_path / "out/table.json")]) == 0
    text = capsys.readouterr().out
    assert "volumetric" in text
    assert "20.5" in text
    assert "Huber's triangulation of all cameras" in text
    content = json.loads((tmp_path / "out/table.json").read_text())
    assert content["iskakov relative"]["rows"][-1]["average"] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no-such"], "there is no paper 'no-such': use one of martinez"),
        (["martinez", "table9"], "of martinez there is no table 'table9': use one of protocol1"),
        (["martinez", "protocol1"], "--data is missing: give a folder of Human3.6M"),
        (["voxelpose", "panoptic", "--data", "absent"], "absent holds no CMU Panoptic"),
    ],
)
def test_wrong_names_end_with_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("mine.npz", x=np.zeros(1))
    extra = ["--predictions", "mine.npz"] if "panoptic" in words else []
    assert cli.main(["reproduce", *words, *extra]) == 1
    assert said in capsys.readouterr().err


def test_help_names_every_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["reproduce", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "verified against original files" in text
    for known in DATA_SETS.values():
        assert known.name in text, known.name
