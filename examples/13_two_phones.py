"""From two phones to poses in metres: cameras calibrated by the people in front of them, in Python, without ROS.

    .venv/bin/python examples/13_two_phones.py
    .venv/bin/python examples/13_two_phones.py left.mp4 right.mp4 --stature 1.78

Afterwards you can calibrate, synchronise and use two cameras that were never calibrated and started by hand. Without
videos the script simulates: a person walks, two phones (26 mm, 1920x1080) see her with a detector's errors, the second
one 2.4 s late, and what is found is compared with the truth. It writes two_phones/rig.yaml and prints where people are.
On the command line it is `pose3d calibrate people`, then `pose3d estimate` (docs/two_phones.md).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pose3d_ros.calibration.people import Clock, PeopleCalibration, PeopleOptions, calibrate_people
from pose3d_ros.calibration.people_cameras import CameraRequest
from pose3d_ros.calibration.people_input import InputRequest, open_people
from pose3d_ros.calibration.people_views import PeopleViews
from pose3d_ros.calibration.phone_lenses import guessed_camera
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.geometry.projection import project
from pose3d_ros.mocap.generated import generated_motion
from pose3d_ros.recordings.frame_source import ABSENT, Cut, common_ns
from pose3d_ros.recordings.matched_times import matched
from pose3d_ros.rigs.rig_yaml import save_rig
from pose3d_ros.simulation.detector_noise import default_noise
from pose3d_ros.simulation.noise_models import crop_scale
from pose3d_ros.simulation.simulated_rigs import look_at
from pose3d_ros.simulation.views import to_coco
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats, Keypoints2D, Pose3D, Rig

SIZE_WH, FPS, SECONDS = (1920, 1080), 30.0, 40.0
LATE_S = 2.4  # the second phone


def walk(times_s: Floats) -> Floats:
    """Joints (T, 17, 3) m of a person who walks up to 2.5 m out and back, turns, and walks another way, never alike.

    Were all ways alike, a recording shifted by one way would fit as well, with the camera elsewhere.
    """
    steps = generated_motion(5, subjects=1, seconds=4.0, fps=100.0)
    body = steps.xyz[: steps.clips[0].length]  # the first clip is of walking
    body = body - body[0, 0] * (1.0, 1.0, 0.0)
    rng = np.random.default_rng(1)
    lasts_s, turns = rng.uniform(4.0, 6.5, 30), np.deg2rad(rng.uniform(40.0, 160.0, 30))
    ends_s = np.cumsum(lasts_s + 1.0)  # a second for the turn
    way = np.searchsorted(ends_s, times_s, side="right")
    within = times_s - (ends_s - lasts_s - 1.0)[way]
    going = np.minimum(within / lasts_s[way], 1.0)
    # Halfway the clip is at 0.4 of the way's time, and then it runs backwards.
    at = (0.5 - 0.5 * np.cos(2 * np.pi * going)) * 40.0 * lasts_s[way]
    low = at.astype(int)
    share = (at - low)[:, None, None]
    there = (1 - share) * body[low] + share * body[low + 1]
    eased = 0.5 - 0.5 * np.cos(np.pi * np.clip(within - lasts_s[way], 0.0, 1.0))
    turned = np.append(0.0, np.cumsum(turns))[way] + eased * turns[way]
    c, s, zero, one = np.cos(turned), np.sin(turned), np.zeros_like(turned), np.ones_like(turned)
    placed: Floats = np.einsum("ijt,tkj->tki", np.array([[c, -s, zero], [s, c, zero], [zero, zero, one]]), there)
    return placed


def simulated(folder: Path) -> tuple[dict[str, Path], Rig, float]:
    """A COCO keypoint file by phone, the true rig, and the person's stature, m."""
    cameras = []
    for name, place in (("left", (-5.0, -1.5, 1.4)), ("right", (-1.0, -5.2, 1.5))):
        cameras.append(guessed_camera(name, SIZE_WH).placed(look_at(place, (0.0, 0.0, 0.9))))
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for camera, late_s in zip(cameras, (0.0, LATE_S), strict=True):
        body = walk(late_s + np.arange(round(SECONDS * FPS)) / FPS)
        true_px = project(camera, to_coco(body))[None, None]  # of one view and one window
        px, score = (one[0, 0] for one in default_noise()(true_px, crop_scale(true_px), 1.0 / FPS, rng))
        inside = ((px >= 0) & (px < SIZE_WH)).all(axis=-1, keepdims=True)
        points = np.where(inside, np.concatenate([px, score[..., None]], axis=-1), 0.0).reshape(len(px), -1)
        entries = [
            {"image_id": frame, "category_id": 1, "keypoints": row.round(2).tolist(), "score": 1.0}
            for frame, row in enumerate(points)
        ]
        files[camera.name] = folder / f"{camera.name}.json"
        files[camera.name].write_text(json.dumps(entries), encoding="utf-8")
    stature_m = float(body[:, H36M_17.index("HeadTop"), 2].max())
    return files, Rig(tuple(cameras)), stature_m


def poses(calibration: PeopleCalibration, views: Sequence[PeopleViews]) -> Iterator[Pose3D]:
    """The people in space, moment by moment in common time."""
    estimator = PoseEstimator(calibration.rig)
    clocks = calibration.clocks
    cut = Cut({n: c.offset_s for n, c in clocks.items()}, drifts_ppm={n: c.drift_ppm for n, c in clocks.items()})
    times = [common_ns(cut, view.camera.name, np.array([one.stamp_ns for one in view.people])) for view in views]
    periods = [float(np.median(np.diff(own))) for own in times]
    for row in matched(times, periods):
        keypoints: dict[str, Keypoints2D] = {}
        for view, own, number in zip(views, times, row, strict=True):
            if number != ABSENT:
                seen = view.people[number]
                keypoints[view.camera.name] = Keypoints2D(
                    seen.xy, seen.score, seen.skeleton, int(own[number]), seen.covariance, seen.boxes
                )
        yield estimator.estimate_from_keypoints(keypoints).pose


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("videos", nargs="*", metavar="VIDEO", help="of two phones, filmed at the same time")
    parser.add_argument("--stature", type=float, help="of the tallest person, m (default: as adults have on average)")
    parser.add_argument("--output", type=Path, default=Path("two_phones"))
    args = parser.parse_args()
    truth, sources, stature = None, tuple(args.videos), args.stature
    if not sources:
        files, truth, own_m = simulated(args.output)
        sources, stature = tuple(f"{name}={path}" for name, path in files.items()), stature or own_m
    args.output.mkdir(parents=True, exist_ok=True)
    lenses = CameraRequest("guess", size_wh=None if truth is None else SIZE_WH)
    people = open_people(InputRequest(sources, lenses, fps=None if truth is None else FPS), args.output)
    calibration = calibrate_people(people.views, PeopleOptions(stature_m=stature, focal=people.guessed))
    for finding in (*calibration.findings, *people.findings):
        print(f"{'FAULT' if finding.fault else 'warning'}: {finding.text}")
    if any(finding.fault for finding in calibration.findings):
        return 1
    save_rig(calibration.rig, args.output / "rig.yaml")
    first, second = calibration.rig.cameras[:2]
    clock = calibration.clocks.get(second.name, Clock())
    apart_m = float(np.linalg.norm(first.centre - second.centre))
    print(f"{first.name} - {second.name}: {apart_m:.2f} m apart, the second began {clock.offset_s:+.3f} s later")
    if truth is not None:
        a, b = truth.cameras
        print(f"the truth: {np.linalg.norm(a.centre - b.centre):.2f} m, {LATE_S:+.3f} s")
    seen = 0
    for number, pose in enumerate(poses(calibration, people.views)):
        seen += len(pose) > 0
        if number % 100 == 99:
            places = ", ".join(
                f"{one} at {xyz[0].round(2).tolist()}" for one, xyz in zip(pose.ids, pose.xyz, strict=True)
            )
            print(f"{pose.stamp_ns / 1e9:.2f} s: {places or 'no person'}")
    print(f"{seen} moments with people; rig: {args.output / 'rig.yaml'}")
    return int(not seen)


if __name__ == "__main__":
    raise SystemExit(main())
