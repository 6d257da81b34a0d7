"""Words that must not come back: old names, and English that a ROS or vision engineer stumbles over."""

from __future__ import annotations

import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
FOLDERS = ("pose3d_ros", "benchmarks", "examples", "launch", "config", "msg", "scripts", "docs", "test", ".ci")
FILES = ("README.md", "CONTRIBUTING.md", "CMakeLists.txt", "Dockerfile", "setup.py", "pyproject.toml", "package.xml")
TEXTS = {".py", ".md", ".yaml", ".toml", ".msg", ".xml", ".txt", ".cpp", ""}
# docs/migration.md lists the old names, and this file the words.
EXEMPT = {"docs/migration.md", "test/test_language.py"}
# Word -> what to say.
PROSE = {
    r"told": "reported",
    r"mend(s|ed|ing)?": "fix",
    r"anew": "again",
    r"bears?": "tolerate",
    r"besides?": "next to, compared with, apart from",
    r"(some|no|every|any)body": "a person, no person, all people",
    r"everyone|whoever|whomever": "all people, callers",
    r"takes? left for right": "swaps left and right",
    r"learnt by heart": "overfitted",
    r"refused by name": "rejected with the reason",
    r"looks? at (no|an?y?) images?": "processes",
}
NAMES = {
    r"MultiViewEstimator|MonocularEstimator": "PoseEstimator",
    r"MultiViewOptions|MonocularOptions": "EstimatorOptions",
    r"MonocularFallback": "PersonLifter",
    r"SetOptions": "SyncOptions",
    r"silent_after|stale_after|tf_wait|set_wait|stamp_tolerance|occluded_after|prediction_horizon": "it with a unit",
    r"gone_after_s": "max_age_s",
    r"birth_(sets|score|joints)": "min_hits",
    r"most_people": "max_people",
    r"huber_delta|detector_spread": "a constant",
    r"Sightings?": "Observations",
    r"Lessons?": "BackgroundUpdates",
    r"JointFinder": "KeypointHead",
    r"TAUGHT": "TRAINED_JOINTS",
    r"Accusation": "MovedCamera",
    r"Disagreement": "CalibrationNoise",
    r"CommonTime": "Resampler",
}


def texts() -> list[Path]:
    """Every tracked kind of text of this project."""
    found = [CHECKOUT / name for name in FILES]
    for folder in FOLDERS:
        found += [path for path in (CHECKOUT / folder).rglob("*") if path.is_file() and path.suffix in TEXTS]
    generated = ("__pycache__", ".hypothesis", "pose3d_ros/msg/")
    return [one for one in found if not any(part in str(one.relative_to(CHECKOUT)) for part in generated)]


def occurrences(words: dict[str, str], flags: int) -> list[str]:
    """Where the words occur, each with what to say."""
    patterns = {re.compile(rf"(?<![\w.-])(?:{word})(?![\w-])", flags): say for word, say in words.items()}
    found = []
    for path in texts():
        name = str(path.relative_to(CHECKOUT))
        if name in EXEMPT:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="ignore").splitlines(), 1):
            found += [
                f"{name}:{number}: {hit.group()}: say {say}"
                for one, say in patterns.items()
                for hit in one.finditer(line)
            ]
    return found


def test_prose_uses_the_words_of_the_field() -> None:
    found = occurrences(PROSE, re.IGNORECASE)
    assert not found, "\n".join(found[:40])


def test_old_names_do_not_come_back() -> None:
    found = occurrences(NAMES, 0)
    assert not found, "\n".join(found[:40])


def test_the_words_are_found_where_they_are() -> None:
    assert re.search(r"(?<![\w.-])(?:besides?)(?![\w-])", "next to and beside it")
    assert len(texts()) > 500
