"""Every option of every command with bad values, and --param: one short line and exit code 1 or 2, no traceback."""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_refusals import PARSER, case, check_message, check_refused, run
from bad_templates import coco_results, rig, write_json
from bad_values import LONG

from pose3d_ros.rigs.rig_yaml import save_rig

BAD_WORDS = {
    "nothing": "", "nan": "nan", "inf": "inf", "-inf": "-inf", "1e999": "1e999", "minus": "-1", "minus much": "-1e300",
    "5000 digits": "9" * 5000, "text": "seventeen", "long": LONG, "brackets": "[" * 5000, "braces": "{" * 5000,
    "NUL": "a\0b", "line feed": "a\nb", "no UTF-8": "a\udcffb", "emoji": "\U0001f600" * 2000, "=": "=", ":=": ":=",
    "/": "/", "pipe": "|", "format": "%s%n{0}", "home": "~no" "body/x", "unknown home": "~no_such_user/x",
}  # fmt: skip
# What a command ends at, whatever its other options are: a file that is not there, or a word that it does not know.
ENDS = {
    "mono": ("--image", "absent.png"), "estimate": ("--rig", "absent.yaml"),
    "calibrate board": ("left=absent.mp4", "--board", "x"),
    "calibrate people": ("left=absent.mp4", "right=absent.mp4"),
    "calibrate sync": ("left=absent.mp4", "right=absent.mp4"),
    "calibrate align": ("absent.yaml", "out.yaml", "--people", "absent.npz"),
    "calibrate refine": ("left=absent.mp4", "right=absent.mp4", "--rig", "absent.yaml"),
    "rig show": ("absent.yaml",), "rig convert": ("absent.yaml", "out.yaml"), "fit-noise": ("absent.npz",),
}  # fmt: skip


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command, and every subcommand as "train posern"."""

    def below(name: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
        nested = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
        if not nested:
            yield name, parser
        for one in nested:
            for word, sub in one.choices.items():
                yield from below(f"{name} {word}".strip(), sub)

    yield from below("", PARSER)


COMMANDS = dict(commands())


def test_every_command_is_tried() -> None:
    assert {name.split()[0] for name in COMMANDS} >= {
        "demo",
        "mono",
        "estimate",
        "calibrate",
        "rig",
        "doctor",
        "models",
    }
    assert len(COMMANDS) > 15


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_leads_to_a_traceback(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    faults: list[str] = []
    ends = ENDS.get(name, ("--data", "absent.npz") if name.split()[0] in ("train", "evaluate") else ("--no-such",))
    for action in COMMANDS[name]._actions:
        if not action.option_strings or action.nargs == 0 or isinstance(action, argparse.BooleanOptionalAction):
            continue
        option = action.option_strings[-1]
        for what in random.Random(f"{name} {option}").sample(sorted(BAD_WORDS), 8):
            word = BAD_WORDS[what]
            with case(faults, f"{option} {what}"):
                code, _, err = run(*name.split(), f"{option}={word}", *ends)
                assert code in (1, 2), code
                check_message(err, "pose3d")
                assert err.count("\n") <= 3, err
    assert not faults, "\n".join(faults)


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """A whole command line of `pose3d estimate` from keypoint files, fit to run."""
    monkeypatch.chdir(tmp_path)
    save_rig(rig(), "rig.yaml")
    for camera in rig().cameras:
        write_json(Path(f"{camera.name}.json"), coco_results(camera))
    return ("estimate", "--rig", "rig.yaml", "--keypoints=left=left.json", "--keypoints=right=right.json", "--fps=30",
            "--no-overlay", "--output", "out")  # fmt: skip


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--fps=nan",), "--fps"), (("--fps=inf",), "--fps"), (("--fps=0",), "--fps"), (("--fps=-5",), "--fps"),
        (("--fps=1e999",), "--fps"), (("--start=nan",), "--start"), (("--start=-1",), "--start"),
        (("--end=inf",), "--end"), (("--end=nan",), "--end"), (("--stride=0",), "--stride"),
        (("--stride=-1",), "--stride"), (("--stride=1.5",), "--stride"), (("--tolerance=nan",), "--tolerance"),
        (("--tolerance=2",), "--tolerance"), (("--offset=left=nan",), "--offset"), (("--offset=left",), "--offset"),
        (("--offset=left=1e999",), "--offset"), (("--offset=middle=1",), "middle"), (("--offset==1",), "--offset"),
        (("--cameras=left,middle",), "middle"), (("--cameras=" + LONG,), "camera"),
        (("--keypoints=" + LONG,), "--keypoints"), (("--keypoints=left=left.json",), "twice"),
        (("--keypoint-order=body_25",), ""), (("--reference=absent.trc",), "absent.trc"), (("--reference=.",), "."),
        (("--formats", "xyz"), "xyz"), (("--refine=other",), "other"), (("--output=rig.yaml",), "rig.yaml"),
        (("--rig=absent.yaml",), "absent.yaml"), (("--rig=.",), "."), (("--rig=/dev/null",), "/dev/null"),
        (("--rig=left.json",), "left.json"), (("--resume", "--overwrite"), "--resume"),
    ],
)  # fmt: skip
def test_estimate_refuses_wrong_words_by_name(sound: tuple[str, ...], words: tuple[str, ...], named: str) -> None:
    if named:
        check_refused(*sound, *words, names=(named,))
    else:
        assert run(*sound, *words)[0] in (0, 1)


@pytest.mark.parametrize(
    "pair",
    [
        "", ":=", "smoothing", "smoothing:=", "smoothing:=other", "smoothing:=[one_euro]", "smoothing:={a: 1}",
        "smoothing:=null", "no_such:=1", "max_detections:=nan", "max_detections:=-1", "max_detections:=1e999",
        "refine:=7",
        "max_detections:=" + "9" * 5000, "smoothing:=" + LONG, "smoothing:=" + "[" * 5000,
        "smoothing:=" + "{a: " * 5000,
        "smoothing:=" + "- " * 3000 + "1", "smoothing:=&a [*a]", "smoothing:=*nothing", "smoothing:=!!python/none x",
        "smoothing:=!!binary x", "smoothing:=2024-99-99", "smoothing:=\0", "smoothing:=\ufeff", LONG, "x:=" + LONG,
        "smoothing:=!!int ''", "smoothing:=!!float x", "smoothing:={one_euro: 1, one_euro: 2}", "smoothing:=? [a]",
    ],
)  # fmt: skip
def test_param_refuses_by_name(sound: tuple[str, ...], pair: str) -> None:
    check_refused(*sound, f"--param={pair}", names=("--param", "option"))


def test_sound_command_runs(sound: tuple[str, ...]) -> None:
    code, out, err = run(*sound, "--param", "smoothing:=one_euro", "--refine", "none", "--offset=left=0", "--start=0")
    assert (code, "Traceback" in err) in ((0, False), (1, False)), (out, err)


@pytest.mark.parametrize(
    "board",
    [
        "", ":", "chessboard", "chessboard:9x6", "chessboard:9x6:nan", "chessboard:9x6:inf", "chessboard:9x6:-1",
        "chessboard:9x6:1e999", "chessboard:axb:0.1", "chessboard:9999999999x6:0.025", "chessboard:-9x6:0.025",
        "chessboard:" + "9" * 5000 + "x6:0.025", "charuco:7x5:0.04:0.03", "charuco:7x5:0.04:0.05:DICT_4X4_50",
        "charuco:7x5:nan:nan:DICT_4X4_50", "charuco:7x5:0.04:0.03:" + LONG, "charuco:7x5:0.04:0.03:__class__",
        "charuco:7x5:0.04:0.03:detectMarkers", "charuco:999x999:0.04:0.03:DICT_4X4_50", "other:9x6:0.1", LONG,
    ],
)  # fmt: skip
def test_board_refuses_by_name(board: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_refused("calibrate", "board", "left=absent.mp4", f"--board={board}", names=("--board",))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("rig", "show", "rig.yaml", "--size=0x0"), "--size"), (("rig", "show", "rig.yaml", "--size=9x"), "--size"),
        (("rig", "show", "rig.yaml", "--size=" + "9" * 5000 + "x1"), "--size"),
        (("rig", "show", "rig.yaml", "--cameras=middle"), "middle"),
        (("rig", "show", "rig.yaml", "--cameras=,"), "--cameras"),
        (("rig", "show", "rig.yaml", "rig.yaml", "left.json"), "left.json"),
        (("rig", "show", "/dev/zero"), "/dev/zero"),
        (("rig", "convert", "rig.yaml", "out.yaml", "--origin=middle"), "middle"),
        (("rig", "convert", "rig.yaml", ".", "--format=rig"), "."), (("rig", "convert", "absent", "x"), "absent"),
        (("mono", "--image=left.json"), "left.json"), (("mono", "--image=rig.yaml", "--focal-px=nan"), "--focal-px"),
        (("mono", "--image=rig.yaml", "--focal-px=1e999"), "--focal-px"), (("mono", "--frames=-1"), "--frames"),
        (("mono", "--image=rig.yaml", "--body-height-m=nan"), "--body-height-m"), (("mono", "--param=x"), "--param"),
        (("fit-noise",), "recording"), (("fit-noise", "rig.yaml"), "rig.yaml"), (("fit-noise", "."), "recording"),
        (("fit-noise", "--labels=rig.yaml"), "rig.yaml"), (("train", "posern"), "--data"),
        (("train", "posern", "--data=rig.yaml"), "rig.yaml"), (("train", "posern", "--data=."), "."),
        (("train", "lifter", "--epochs=0"), "--epochs"), (("train", "lifter", "--minutes=nan"), "--minutes"),
        (("train", "lifter", "--dropout=1"), "--dropout"), (("train", "cvugcn", "--views=0"), "--views"),
        (("train", "lifter", "--seed=-1"), "--seed"), (("train", "lifter", "--seed=" + "9" * 5000), "--seed"),
        (("train", "lifter", "--sigma-px=inf"), "--sigma-px"), (("train", "cvugcn", "--lambda-b=nan"), "--lambda-b"),
        (("evaluate", "lifter", "--data=rig.yaml"), "rig.yaml"), (("doctor", "--seconds=nan"), "--seconds"),
        (("doctor", "--namespace=a b"), "--namespace"), (("models", "fetch", "no-such"), "no-such"),
        (("no-such",), "no-such"), ((), "COMMAND"), (("evaluate", "no-such"), "no-such"), ((LONG,), "COMMAND"),
    ],
)  # fmt: skip
def test_commands_refuse_wrong_words_by_name(sound: tuple[str, ...], words: tuple[str, ...], named: str) -> None:
    check_refused(*words, names=(named,))
