"""What a node logs of what is wrong: short lines, the more seldom the longer it lasts."""

from __future__ import annotations

import pytest

from pose3d_ros.ros.log_lines import LONGEST, MOST_TEXTS, Repetition, short

WAITING = "no poses yet: " + "; ".join(
    f"no {what} on /{camera}/{topic} (no publisher)"
    for camera in ("left", "right", "front", "back")
    for what, topic in (("image", "image_raw"), ("camera_info", "camera_info"))
)


def test_fault_warnings_that_fill_the_terminal() -> None:
    """Fault: a node with four cameras waits for all of them for an hour.
    Sees: a line of at most 160 characters with the first causes and how many more /diagnostics names; 17 times.
    Recovers: by itself when the cameras come.
    Kind: K10
    Before: 250 to 400 characters every 5 s, 720 times.
    """
    lines, repetition = [], Repetition()
    for second in range(3600):
        message = WAITING.replace("yet", f"for {second}.5 s")
        if repetition.due("health", message, float(second)):
            lines.append(short(message))
    assert 10 <= len(lines) <= 20
    assert all(len(line) <= LONGEST for line in lines)
    assert "no image on /left/image_raw (no publisher); no camera_info on /left/camera_info" in lines[0]
    assert lines[0].endswith("; 6 more in /diagnostics")


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("all is short; two parts", "all is short; two parts"),
        ("x" * 160, "x" * 160),
        ("word " * 40, "word " * 26 + "word ... (see /diagnostics)"),
        ("a" * 100 + "; " + "b" * 60 + "; c", "a" * 100 + "; 2 more in /diagnostics"),
    ],
)
def test_whole_parts_are_kept(message: str, line: str) -> None:
    assert short(message) == line
    assert len(short(message)) <= LONGEST


def test_a_new_cause_is_logged_soon_and_one_that_comes_back_too() -> None:
    repetition = Repetition()
    assert repetition.due("health", "no image on /left for 1.0 s", 0.0)
    assert not repetition.due("health", "no image on /left for 1.2 s", 4.0), "the same but for a number"
    assert repetition.due("set", "cut on its way", 4.0), "of another kind"
    assert repetition.due("health", "no image on /left for 9.0 s", 6.0)
    assert not repetition.due("health", "no image on /right for 1.0 s", 8.0), "two lines of a kind are 5 s apart"
    assert repetition.due("health", "no image on /right for 4.0 s", 11.5)
    assert not repetition.due("health", "no image on /left for 1.0 s", 15.0)
    assert repetition.due("frame", "no image on /cam1 for 3 s", 15.0)
    assert repetition.due("frame", "no image on /cam2 for 3 s", 20.0), "a name, not a number"
    assert repetition.due("frame", "no image of '02' for 3 s", 25.0)
    assert repetition.due("frame", "no image of '03' for 3 s", 30.0)
    assert repetition.due("health", "no image on /left for 1.0 s", 60.0), "news, after it was well"


def test_names_from_messages_use_bounded_memory() -> None:
    repetition = Repetition()
    for n in range(1000):
        repetition.due("frame", f"encoding {'abcdefghij'[n % 10]}{'klmnopqrst'[n // 10 % 10]}{chr(97 + n // 100)}", 1.0)
    assert len(repetition._texts) <= MOST_TEXTS
