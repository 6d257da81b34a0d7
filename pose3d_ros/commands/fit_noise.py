"""pose3d fit-noise: measure a detector's errors on a recording without labels, and fit the training noise to them."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.plots.noise_plot import SHOWN, write_noise_plot
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.simulation.detector_noise import DetectorNoise, fit_noise
from pose3d_ros.simulation.detector_residuals import BODY, Residuals, residuals_of, residuals_of_labels
from pose3d_ros.simulation.replayed_noise import blocks_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pose3d fit-noise`."""
    parser.add_argument(
        "recording", type=Path, nargs="?", help="recording.npz, or the folder that `pose3d demo` wrote (in its log/)"
    )
    parser.add_argument(
        "--leave-one-out",
        action="store_true",
        help="compare each camera with the triangulation of the OTHERS; the errors then include its error too",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        help="instead of a recording: an .npz of labelled detections from detectors not trained on the subject",
    )
    parser.add_argument(
        "--rendered", type=Path, nargs="+", default=[], metavar="DIR",
        help="instead of a recording: run the default detector on scenes of `pose3d render`, whose joints are known",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, default=Path("noise.json"), help="the fitted noise")
    parser.add_argument("--plot", type=Path, help="plot of the errors and the fit (PNG)")
    parser.add_argument("--blocks", type=Path, help="also save the errors themselves, as test noise (.npz)")


def run(args: argparse.Namespace) -> int:
    """Fit and print the noise, write the files; raises pose3d_ros.errors."""
    residuals, source = _measure(args)
    against_itself = args.labels is None and not args.rendered and not args.leave_one_out
    noise = fit_noise(residuals, source, shrunk=against_itself)
    noise.save(args.output)
    _report(residuals, noise, against_itself)
    print(f"noise: {args.output}")
    if args.blocks:
        blocks_of(residuals).save(args.blocks)
        print(f"errors: {args.blocks}")
    if args.plot:
        errors = residuals.error / (residuals.shrinkage if against_itself else 1.0)
        write_noise_plot(errors, noise.mixtures, f"Errors of the detector: {source}", args.plot)
        print(f"picture: {args.plot}")
    return 0


def _measure(args: argparse.Namespace) -> tuple[Residuals, str]:
    if (args.recording is not None) + (args.labels is not None) + bool(args.rendered) != 1:
        raise InputError("give one of: a recording (of `pose3d demo --output DIR`: DIR), --labels FILE, --rendered DIR")
    if args.leave_one_out and args.recording is None:
        raise InputError("--leave-one-out is for a recording: labels and rendered people have true joints")
    if args.rendered:
        return _rendered(args.rendered)
    if args.labels is not None:
        return residuals_of_labels(args.labels), f"labels {args.labels.name}"
    path = args.recording
    for name in ("log/recording.npz", "recording.npz"):
        if (path / name).is_file():
            path = path / name
            break
    else:
        if not path.is_file():
            raise InputError(f"{path} contains no recording: give the folder that `pose3d demo --output DIR` wrote")
    recording = Recording.load(path)
    kind = "the other cameras" if args.leave_one_out else "all cameras"
    residuals = residuals_of(recording, leave_one_out=args.leave_one_out)
    people = len({person for person, _ in residuals.series})
    subjects = "1 person" if people == 1 else f"{people} people"
    cameras, frames = len(recording.rig.cameras), residuals.error.shape[1]
    return residuals, f"{subjects}, {cameras} cameras, {frames} frames against {kind}"


def _rendered(folders: list[Path]) -> tuple[Residuals, str]:
    """Of the default detector with the estimator behind it, as in the nodes."""
    from pose3d_ros.detection import factory
    from pose3d_ros.detection.options import DetectorOptions
    from pose3d_ros.estimation.options import EstimatorOptions
    from pose3d_ros.simulation.rendering.rendered_set import load_scenes
    from pose3d_ros.training.rendered_people import match_detections, residuals_of_scenes, run_chain

    scenes = load_scenes(folders)
    factory.fetch_weights(DetectorOptions())
    detector = factory.make_detector(DetectorOptions())
    found = [match_detections(scene, run_chain(scene, detector, EstimatorOptions())[1]) for scene in scenes]
    people = sum(scene.truth.joints_m.shape[1] for scene in scenes)
    return residuals_of_scenes(scenes, found), f"{people} rendered people in {len(scenes)} scenes"


def _report(residuals: Residuals, noise: DetectorNoise, against_itself: bool) -> None:
    print(f"{noise.fitted_to}; 1 crop px is {residuals.px_per_crop_px:.2f} px of the image (median)")
    if residuals.camera_offset_px:
        print("removed, constant per camera (calibration and synchronisation):")
        for camera, (x, y) in residuals.camera_offset_px.items():
            print(f"  {camera:<12} {x:+7.1f} {y:+7.1f} px of the image")
    size = np.linalg.norm(residuals.error, axis=-1)
    size = size[np.isfinite(size)]
    print(
        f"remaining, the detector's own: {len(size)} errors, median {np.median(size):.2f}, RMS an axis "
        f"{np.sqrt((size**2).mean() / 2):.2f}, 95 % within {np.percentile(size, 95):.1f} crop px"
    )
    if against_itself:
        print(f"  divided by {residuals.shrinkage:.3f}, because each camera contributes to it; then fitted:")
    print("  joint       normal part     mean x, y       std x, y   missed")
    for name in SHOWN:
        joint = BODY.index(name)
        mixture = noise.mixtures[joint]
        (x, y), (std_x, std_y) = mixture.mean, np.sqrt(np.diag(mixture.covariance))
        print(
            f"  {name.removeprefix('L').lower():<12} {100 * mixture.gamma:8.1f} % {x:+8.2f} {y:+6.2f} "
            f"{std_x:8.2f} {std_y:6.2f} {100 * noise.miss[joint]:6.2f} %"
        )
    print(
        f"  left and right swapped {100 * noise.exchange:.2f} %; correlation falls to 1/e in {noise.last_s:.2f} s; "
        f"logit(score) = {noise.score_base:.2f} - {noise.score_fall:.3f} |e| +- {noise.score_spread:.2f}"
    )
