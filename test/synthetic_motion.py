"""A small motion file in the form of docs/training.md: people who walk, known in closed form."""

from pathlib import Path

import numpy as np
from synthetic_people import walker

SPLIT = {"ann": "train", "ben": "train", "cem": "val", "dee": "test"}


def arrays(clips_each=2, length=24, fps=12.0):
    """Two clips a subject; dee's second clip is not native."""
    xyz, rows = [], []
    for who, (subject, split) in enumerate(SPLIT.items()):
        for take in range(clips_each):
            rows.append((len(xyz), length, subject, f"{subject}_{take}", split, not (subject == "dee" and take == 1)))
            speed = 0.5 + 0.3 * who + 0.2 * take
            xyz += [walker((who, take), (speed, 0.1), n / fps, 1.6 + 0.1 * who) for n in range(length)]
    start, count, subject, motion, split, native = zip(*rows, strict=True)
    from pose3d_ros.skeletons import H36M_17

    return {
        "xyz": np.array(xyz, dtype=np.float32),
        "joint_names": np.array(H36M_17.joint_names),
        "clip_start": np.array(start),
        "clip_len": np.array(count),
        "fps": np.full(len(rows), fps, dtype=np.float32),
        "subject": np.array(subject),
        "motion": np.array(motion),
        "split": np.array(split),
        "native": np.array(native, dtype=np.int8),
    }


def write(path: Path, **changed) -> Path:
    np.savez_compressed(path, **(arrays() | changed))
    return path
