"""`pose3d render` from its words to its folder, and one line for every mistake."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
from rendered_people import NEEDS_RENDER

from pose3d_ros import cli
from pose3d_ros.rigs.rig_yaml import save_rig
from pose3d_ros.simulation.rendering import bodies, scenes
from pose3d_ros.simulation.rendering.rendered_set import load_scene, load_scenes, settings_of
from pose3d_ros.simulation.simulated_rigs import look_at
from pose3d_ros.structures import Camera, Rig

SMALL = ("--rig", "room2", "--size", "64", "--frames", "2", "--samples", "1", "--jobs", "1", "--seed", "3")
K = np.array([[500.0, 0.0, 319.5], [0.0, 500.0, 239.5], [0.0, 0.0, 1.0]])


def render(output: Path, *words: str) -> int:
    return cli.main(["render", *SMALL, *words, "--output", str(output)])


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of stderr."""
    error = capsys.readouterr().err
    assert error.startswith("pose3d render: ")
    assert error.count("\n") == 1, error
    return error


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes."""
    output = tmp_path_factory.mktemp("render") / "out"
    assert render(output, "--scenes", "2") == 0
    return output


@NEEDS_RENDER
def test_every_scene_has_rig_images_truth_and_a_description(rendered):
    made = load_scenes([rendered])
    assert [one.name for one in made] == ["scene_000", "scene_001"]
    assert len({one.rig.calibration_hash for one in made}) == 2  # another rig in every scene
    for one in made:
        assert len(one) == 2
        assert one.fps == 12.0
        assert one.truth.joints_m.shape == (2, 1, 17, 3)
        for moment in one.read():
            assert {image.shape[1] for image in moment.images.values()} == {64}
            assert all(10.0 < image.mean() < 245.0 for image in moment.images.values())
    settings = settings_of(rendered / "scene_001")
    assert settings is not None
    assert settings["data"] == "generated"
    assert settings["number"] == 1


@NEEDS_RENDER
def test_a_second_run_renders_nothing_and_reports_it(rendered, capsys, monkeypatch):
    before = contents(rendered)
    monkeypatch.setattr(scenes, "plan_scene", None)
    assert render(rendered, "--scenes", "2") == 0
    printed = capsys.readouterr()
    assert "scene_000 is there already" in printed.err
    assert "scene_001 is there already" in printed.err
    assert "images in" not in printed.out
    assert contents(rendered) == before


@NEEDS_RENDER
def test_only_missing_scenes_are_rendered_with_the_same_bytes(rendered, tmp_path, capsys):
    """A run of one scene more goes on where the first one ended, and ends where one run would have."""
    assert render(tmp_path / "out") == 0
    assert render(tmp_path / "out", "--scenes", "2") == 0
    assert "scene_000 is there already" in capsys.readouterr().err
    assert contents(tmp_path / "out") == contents(rendered)


@NEEDS_RENDER
@pytest.mark.parametrize("words", [("--people", "2"), ("--seed", "4"), ("--fps", "10"), ("--samples", "2")])
def test_other_settings_into_the_same_folder_are_rejected(rendered, capsys, words):
    before = contents(rendered)
    assert render(rendered, *words) == 1
    assert f"was rendered with {words[0][2:]} " in (line := refused(capsys))
    assert "--output" in line
    assert contents(rendered) == before


@NEEDS_RENDER
def test_videos_are_written_on_request_for_a_rig_of_ones_own(tmp_path):
    places = (((3.0, 0.0, 1.5), (0.0, 0.0, 1.0)), ((0.0, 3.0, 1.5), (0.0, 0.0, 1.0)))
    cameras = [Camera(f"c{n}", (640, 480), K, cam_from_world=look_at(*place)) for n, place in enumerate(places, 1)]
    save_rig(Rig(tuple(cameras)), tmp_path / "rig.yaml")
    words = ("--rig", str(tmp_path / "rig.yaml"), "--video", "--split", "train")
    assert render(tmp_path / "out", *words) == 0
    folder = tmp_path / "out" / "scene_000"
    assert sorted(path.name for path in folder.iterdir()) == ["c1.mp4", "c2.mp4", "rig.yaml", "scene.json", "truth.npz"]
    assert len(list(load_scene(folder).read())) == 2


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--people", "9"), "--people 9: give 1 to 8"),
        (("--fps", "0"), "--fps 0: give 0.1 to 240"),
        (("--fps", "nan"), "--fps nan: give"),
        (("--fps", "-5"), "--fps -5: give"),
        (("--fps", "1e9"), "--fps 1e+09: give"),
        (("--walk", "--in-place"), "--walk is a motion of its own: leave out --data, --split and --in-place"),
        (("--walk", "--data", "motion.npz"), "--walk is a motion of its own"),
        (("--walk", "--split", "train"), "--walk is a motion of its own"),
    ],
)
def test_numbers_out_of_their_range_are_rejected_before_any_work(tmp_path, capsys, monkeypatch, words, named):
    monkeypatch.setattr(bodies, "_model", None)
    assert render(tmp_path / "out", *words) == 1
    assert named in refused(capsys)
    assert not (tmp_path / "out").exists()


@NEEDS_RENDER
@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--rig", "absent.yaml"), "absent.yaml"),
        (("--rig", "h36"), "h36"),
        (("--rig", "."), "."),
        (("--data", "absent.npz"), "absent.npz"),
        (("--data", "."), "."),
    ],
)
def test_unusable_inputs_are_named_in_one_line(tmp_path, capsys, monkeypatch, words, named):
    monkeypatch.chdir(tmp_path)
    assert render(tmp_path / "out", *words) == 1
    assert named in refused(capsys)


@NEEDS_RENDER
def test_people_walk_about_on_request(tmp_path, capsys):
    assert render(tmp_path / "out", "--walk", "--frames", "3", "--fps", "0.1") == 0
    folder = tmp_path / "out" / "scene_000"
    assert load_scene(folder).truth.joints_m.shape == (3, 1, 17, 3)
    assert settings_of(folder)["data"] == "walk"
    assert '"walking about"' in (folder / "scene.json").read_text()
    assert render(tmp_path / "out", "--frames", "3", "--fps", "0.1") == 1
    assert "was rendered with data walk, not generated" in refused(capsys)


@NEEDS_RENDER
def test_more_frames_than_the_motion_lasts_are_rejected(tmp_path, capsys, motion_file):
    assert render(tmp_path / "out", "--data", str(motion_file), "--frames", "5000") == 1
    assert "ask for fewer frames" in refused(capsys)


@NEEDS_RENDER
def test_motion_of_one_subject_is_taken_whatever_its_split(tmp_path, capsys, motion_file):
    """A user's own take has one subject, in whichever split the name falls."""
    for split in ("train", "val", "test"):
        words = ("--data", str(one_subject(motion_file, tmp_path / f"{split}.npz", split)), "--frames", "1")
        assert render(tmp_path / split, *words) == 0


def one_subject(motion_file: Path, path: Path, split: str) -> Path:
    arrays = dict(np.load(motion_file))
    first = {name: arrays[name][:1] for name in arrays if name not in ("xyz", "joint_names")}
    np.savez(path, **arrays | first | {"split": np.array([split])})
    return path


@pytest.mark.parametrize("words", [("--people", "0"), ("--frames", "x"), ("--split", "none"), ("--seed", "-1")])
def test_wrong_words_end_with_code_2(tmp_path, words):
    with pytest.raises(SystemExit) as ended:
        render(tmp_path / "out", *words)
    assert ended.value.code == 2


@pytest.mark.parametrize("missing", ["anny", "embreex"])
def test_a_missing_extra_is_named_before_any_work(tmp_path, capsys, monkeypatch, missing):
    if missing == "anny":
        pytest.importorskip("embreex", reason="Embree is looked for first: pip install 'pose3d_ros[render]'")
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr(bodies, "_model", bodies._model.__wrapped__)  # loaded by other tests
    monkeypatch.setattr("pose3d_ros.commands.render._motion", None)
    monkeypatch.setattr(scenes, "plan_scene", None)
    assert render(tmp_path / "out") == 1
    assert "run `pip install 'pose3d_ros[render]'`" in refused(capsys)
    assert not (tmp_path / "out").exists()
