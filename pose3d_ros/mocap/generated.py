"""Human motion from formulas, for users without motion capture: h36m_17 clips (NumPy, float64; no file is read)."""

from __future__ import annotations

import numpy as np

from pose3d_ros.arguments import floats, whole_number
from pose3d_ros.errors import InputError, shown
from pose3d_ros.mocap.actions import ACTIONS
from pose3d_ros.mocap.load import FPS
from pose3d_ros.mocap.motion import Clip, Motion
from pose3d_ros.mocap.stick_figure import drawn_person, posed, rotation
from pose3d_ros.structures import Floats

# Women's 5th to men's 95th percentile (Huston, Principles of Biomechanics, 2009).
STATURE_M = (1.52, 1.87)
STATURE_LIMITS_M = (1.2, 2.1)  # the proportions are those of adults
MOST_SEED = 2**63 - 1
SPLIT_DEAL = ("train", "test", "val", "train", "train")
SECONDS, FRAMES_PER_S, MOST_FRAMES = (1.0, 600.0), (2.0, 1000.0), 2_000_000  # 0.8 GB


def generated_motion(
    seed: int,
    *,
    subjects: int = 12,
    seconds: float = 6.0,
    fps: float = FPS,
    stature_m: tuple[float, float] = STATURE_M,
) -> Motion:
    """Clips of made-up people, one for each subject and action of ACTIONS, the same for the same arguments.

    Joints are in metres, z up, floor z = 0; every clip has `seconds` at `fps` frames/s and begins within a few metres
    of the origin, with any heading. Statures are drawn from the range stature_m; three or more subjects fill all three
    splits. Raises InputError for a number out of its range.
    """
    seed, subjects = whole_number("seed", seed), whole_number("subjects", subjects)
    seconds, fps = (float(floats(name, value, ())) for name, value in (("seconds", seconds), ("fps", fps)))
    low, high = floats("stature_m", stature_m, (2,)).tolist()
    limits = {
        "seed": (seed, 0, MOST_SEED),
        "seconds": (seconds, *SECONDS),
        "fps": (fps, *FRAMES_PER_S),
        "subjects": (subjects, 1, MOST_FRAMES),
        "stature_m[0]": (low, *STATURE_LIMITS_M),
        "stature_m[1]": (high, low, STATURE_LIMITS_M[1]),
    }
    for name, (value, least, most) in limits.items():
        if not least <= value <= most:
            raise InputError(f"{name} is {shown(value)}, expected {least:g} to {most:g}")
    t = np.arange(round(seconds * fps)) / fps
    if subjects * len(ACTIONS) * len(t) > MOST_FRAMES:
        raise InputError(
            f"{subjects} subjects with {len(ACTIONS)} clips of {len(t)} frames have more than {MOST_FRAMES} frames: "
            "ask for fewer subjects, seconds or frames/s"
        )
    parts: list[Floats] = []
    clips: list[Clip] = []
    for subject in range(subjects):
        # One generator for each person and each clip: more subjects leave the first ones as they are.
        person = drawn_person(np.random.default_rng((seed, subject, 0)), (low, high))
        for number, (name, action) in enumerate(ACTIONS.items()):
            rng = np.random.default_rng((seed, subject, number + 1))
            xyz = posed(person, action(person, t, rng)) @ rotation("z", rng.uniform(-np.pi, np.pi, 1))
            start, split = len(t) * len(parts), SPLIT_DEAL[subject % len(SPLIT_DEAL)]
            clips.append(Clip(start, len(t), fps, f"generated_{seed}_{subject}", name, split, native=True))
            parts.append(xyz)
    return Motion(np.concatenate(parts), tuple(clips))
