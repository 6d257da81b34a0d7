"""Images of calibrated cameras in, people in three dimensions out.

The chain is detect -> remap to h36m_17 -> associate -> triangulate -> refine -> track -> smooth. NumPy, float64.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.arguments import check_is
from pose3d_ros.detection.detector import UsesPredictedBoxes
from pose3d_ros.errors import CalibrationError, FootageError, InputError
from pose3d_ros.estimation.background import BackgroundUpdates, FrameObservation, MultiViewObservation
from pose3d_ros.estimation.calibration_noise import MEASURED, CalibrationNoise
from pose3d_ros.estimation.earlier_rigs import EarlierRigs
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.fallback import MonocularFallback
from pose3d_ros.estimation.left_right import unswap_left_right
from pose3d_ros.estimation.observation import (
    Grouped2D,
    People2D,
    associated_rows,
    moved_by_cameras,
    placed,
    with_camera_errors,
    without_unsure,
)
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.people_2d import as_carried, ids_of_people, used_people
from pose3d_ros.estimation.predicted_boxes import predicted_boxes
from pose3d_ros.estimation.prediction import Motions
from pose3d_ros.estimation.publish_filter import filter_people
from pose3d_ros.estimation.refinement.options import load_refinement, placing_of
from pose3d_ros.estimation.refinement.plan import RefinePlan, wanted
from pose3d_ros.estimation.refinement.stage import Refinement
from pose3d_ros.estimation.smoothing import Smoother
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.estimation.tracker_options import tracker_of
from pose3d_ros.geometry.calibration import check_image_size, same_calibration
from pose3d_ros.monitoring.health import CalibrationHealth
from pose3d_ros.options import check_changes
from pose3d_ros.rigs.rig_checks import validate_rig
from pose3d_ros.skeletons import H36M_17, remap
from pose3d_ros.state import Stateful
from pose3d_ros.structures import Camera, FrameSet, Keypoints2D, Pose3D, Rig
from pose3d_ros.synchronisation.resampling import Resampler

if TYPE_CHECKING:
    from pose3d_ros.detection.detector import Detector


class PoseEstimator:
    """People's poses from synchronised images of two cameras or more; remembers people between calls.

    rig places the cameras; detector defaults to the top-down detector (its weights are loaded on first
    use). Poses are in rig.frame_id, m. refinement are networks that were loaded before, by load_refinement.
    Where a set holds one camera's images only, fallback (by default as the options say) lifts its people, who keep
    their ids; somebody whom one of several cameras sees is not lifted.
    Raises CalibrationError for a rig of fewer than min_views cameras, or that cannot be true (rigs/rig_checks.py),
    WeightsError or InputError where a network that the options ask for cannot be had.
    """

    def __init__(
        self,
        rig: Rig,
        detector: Detector | None = None,
        options: EstimatorOptions = EstimatorOptions(),
        fallback: MonocularFallback | None = None,
        *,
        refinement: Refinement | None = None,
    ) -> None:
        check_is("the estimator's rig", rig, Rig)
        check_is("the estimator's options", options, EstimatorOptions)
        self._options = options
        self._fallback = fallback or MonocularFallback(options.monocular_fallback, options.lifter)
        self._detector = detector
        self._tracker = tracker_of(options, options.init_joints)
        self._smoother = Smoother(options.smoothing)
        self._motions = Motions()
        self._place = placing_of(options)
        self._refinement = refinement or load_refinement(options, detector)
        self._lessons, self._common_time = BackgroundUpdates(rig, self._fallback), Resampler()
        self._rig, self._disagreement, self._earlier_rigs = rig, CalibrationNoise(), EarlierRigs()
        self.set_rig(rig)

    @property
    def rig(self) -> Rig:
        """The cameras as they are placed now."""
        return self._rig

    @property
    def calibration_health(self) -> CalibrationHealth:
        """How the cameras fit each other, by the frame sets so far."""
        return self._lessons.calibration_health

    @property
    def failures_to_learn(self) -> int:
        """Frame sets of which not everything could be learnt; their poses stand."""
        return self._lessons.failures

    @property
    def parts(self) -> dict[str, Stateful]:
        """Everything that remembers from frame set to frame set, by name."""
        parts: dict[str, Any] = {
            "tracker": self._tracker,
            "smoother": self._smoother,
            "motions": self._motions,
            "common_time": self._common_time,
            "fallback": self._fallback,
            "earlier_rigs": self._earlier_rigs,
            **self._parts_of_rig(),
            "refinement": self._refinement,
            "detector": self._detector,
        }
        return {name: part for name, part in parts.items() if isinstance(part, Stateful)}

    def _parts_of_rig(self) -> dict[str, Any]:
        """Those whose state holds for one calibration."""
        return {
            "disagreement": self._disagreement,
            "calibration_health": self._lessons.calibration_health,
            "clock_offsets": self._lessons.clock_offsets,
            "people_evidence": self._lessons.people_evidence,
        }

    def set_rig(self, rig: Rig) -> None:
        """Use other cameras or a new calibration from now on; people keep their ids.

        What was learnt of a calibration comes back with it: a camera that was away for a moment changes nothing.
        """
        if len(rig.cameras) < self._options.min_views:
            raise CalibrationError(
                f"the rig has {len(rig.cameras)} cameras ({', '.join(rig.names)}), but {self._options.min_views} must "
                "see a joint before it is placed: add cameras, or lower min_views (2 at least)"
            )
        validate_rig(rig)
        self._lessons.learn_or_warn()
        before, self._rig = self._rig, rig
        parts = {} if same_calibration(before.cameras, rig.cameras) else self._parts_of_rig()
        if parts:
            self._earlier_rigs.keep(before, {name: part.state_dict() for name, part in parts.items()})
        for part in parts.values():
            part.begin_again()
        self._lessons.calibration_health.set_rig(rig)
        for name, state in (self._earlier_rigs.take(rig) if parts else {}).items():
            parts[name].load_state_dict(state)
        self._plan()

    def set_options(self, options: EstimatorOptions) -> None:
        """Work by other options from the next frame set on; people keep their ids.

        Raises OptionError, and changes nothing, where one differs that is fixed at start.
        """
        check_changes(self._options, options)
        self._tracker = tracker_of(options, options.init_joints, self._tracker)
        if options.smoothing != self._options.smoothing:
            self._smoother = Smoother(options.smoothing)
        self._options = options

    @property
    def refinement(self) -> RefinePlan:
        """Which networks refine the poses of this rig, and why."""
        if self._refinement is None or not wanted(self._refine_plan.method, "posern"):
            return self._refine_plan
        return replace(self._refine_plan, bias_gate=self._refinement.bias_gate)

    def _plan(self) -> None:
        detector = self._detector.name if self._detector is not None else ""
        self._refine_plan = RefinePlan("none", "refine is none")
        if self._refinement is not None:
            self._refine_plan = self._refinement.plan(self._rig, detector)

    def reset(self) -> None:
        """Forget everyone; ids are not used again, and what was learnt of the cameras stays."""
        self._lessons.forget()
        for part in self.parts.values():
            part.reset()
        if self._detector is not None:
            self._detector.reset()

    def state_dict(self) -> dict[str, Any]:
        """What was learnt from the frame sets so far, by part; state_file.to_bytes writes it.

        It holds the estimator's own objects: make bytes of it before the next call.
        """
        self._lessons.learn_or_warn()
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from another estimator's state; its rig, options and detector must have been the same.

        Raises FootageError where another version saved it.
        """
        parts = self.parts
        if differ := state.keys() ^ parts.keys():
            raise FootageError(f"the state has other parts ({', '.join(sorted(differ))}): another version saved it")
        for name, part in parts.items():
            part.load_state_dict(state[name])

    def learn(self) -> None:
        """Learn what the last frame set teaches besides its pose (lessons.py); otherwise the next call does it.

        A caller that sends poses on calls it once a pose is out: it may take longer than the pose. It raises what went
        wrong; where the next call learns instead, that is counted in failures_to_learn and warned of once.
        """
        self._lessons.learn()

    def __call__(self, frames: FrameSet) -> Pose3D:
        """Everybody's pose at the frames' newest stamp."""
        return self.estimate(frames).pose

    def estimate(self, frames: FrameSet) -> Estimate:
        """Everybody's pose, and how it came about.

        Raises InputError for a camera that the rig lacks, CalibrationError for an image that is not of its
        camera's calibrated size.
        """
        self._check_names(frames.images)
        for name, image in frames.images.items():
            check_image_size(self._rig.camera(name), image.shape)
        start = time.perf_counter()
        if self._detector is None:
            # Imported late: estimating from keypoints alone needs no torch.
            from pose3d_ros.detection.factory import make_detector

            self._detector = make_detector()
            self._plan()
        if isinstance(self._detector, UsesPredictedBoxes):
            cameras = [self._rig.camera(name) for name in frames.images]
            self._detector.set_predicted_boxes(predicted_boxes(cameras, self._tracker.predicted(frames.stamp_ns)))
        keypoints = {name: as_carried(one) for name, one in self._detector(frames).items()}
        detect_ms = (time.perf_counter() - start) * 1e3
        estimate = self._given_out(keypoints, frames.stamp_ns)
        return replace(estimate, stage_ms={**estimate.stage_ms, "detect": detect_ms})

    def estimate_from_keypoints(self, keypoints: Mapping[str, Keypoints2D]) -> Estimate:
        """The same from 2D people by camera, in any skeleton that h36m_17 can be derived from.

        The pose's stamp is the newest of the keypoints'. Raises InputError for a camera that the rig lacks,
        or when there is no camera at all.
        """
        self._check_names(keypoints)
        if not keypoints:
            raise InputError("estimating needs keypoints of at least one camera, got none")
        return self._given_out(keypoints, max(k.stamp_ns for k in keypoints.values()))

    def _check_names(self, given: Mapping[str, object]) -> None:
        unknown = sorted(set(given) - set(self._rig.names))
        if unknown:
            raise InputError(f"the rig has no camera {', '.join(unknown)}: it has {', '.join(self._rig.names)}")

    def _given_out(self, detected: Mapping[str, Keypoints2D], stamp_ns: int) -> Estimate:
        options = self._options
        self._lessons.learn_or_warn()
        at_one_time = detected
        if options.compensate_offsets:
            at_one_time, stamp_ns = self._common_time(detected, self._lessons.clocks.known_s)
        estimate, together = self._estimate(at_one_time, stamp_ns)
        if options.compensate_offsets:  # what is shown belongs to the images
            shown = {name: remap(detected[name], H36M_17) for name in estimate.keypoints}
            estimate = replace(estimate, keypoints=shown)
        learnt = FrameObservation(
            stamp_ns, self._rig, estimate.keypoints, estimate.ids, together, estimate.pose, options
        )
        self._lessons.put(learnt)
        estimate = replace(estimate, clocks=self._lessons.clocks, people=self._lessons.people)
        return filter_people(estimate, options.workspace_min, options.workspace_max, options.max_people)

    def _estimate(
        self, detected: Mapping[str, Keypoints2D], stamp_ns: int
    ) -> tuple[Estimate, MultiViewObservation | None]:
        start = time.perf_counter()
        cameras = [camera for camera in self._rig.cameras if camera.name in detected]
        whole = [remap(detected[camera.name], H36M_17) for camera in cameras]
        usable, people = used_people(whole, self._options)  # indices of the 2D people to use
        if len(cameras) == 1 and self._fallback.load():
            return self._estimate_alone(cameras[0], whole[0], usable[0], people[0], stamp_ns), None
        expected = self._tracker.predicted(stamp_ns)
        flat = People2D.of(people).undistorted(cameras)
        rows = associated_rows(cameras, flat, expected, self._options.association_limit_mrad)
        groups = np.where(rows >= 0, rows - flat.bounds[:-1], -1)
        together_in = (rows >= 0).sum(-1)  # views of each group
        several = together_in >= self._options.min_views
        shared = groups[several]
        associated = time.perf_counter()
        seen, exchanged = unswap_left_right(
            cameras, flat, rows[several], expected, partial(self._place, max_std_m=np.inf)
        )
        observed, refused, refine_ms = self.observe(cameras, seen, stamp_ns)
        pose, group_ids = self._tracker.update(observed, stamp_ns, self._rig.frame_id)
        together = MultiViewObservation(cameras, people, groups, shared, observed, group_ids, pose.ids)
        pose = self._smoother(pose)
        ids = {
            camera.name: ids_of_people(len(k), u, shared[:, view], group_ids)
            for view, (camera, k, u) in enumerate(zip(cameras, whole, usable, strict=True))
        }
        estimate = Estimate(
            pose=pose,
            keypoints={camera.name: k for camera, k in zip(cameras, whole, strict=True)},
            ids=ids,
            # Tracking takes well under a millisecond; it is counted with triangulation.
            stage_ms={
                "detect": 0.0,
                "associate": (associated - start) * 1e3,
                "triangulate": (time.perf_counter() - associated) * 1e3 - sum(refine_ms.values()),
                **refine_ms,
            },
            single_view=int((together_in == 1).sum()),
            rejected=observed.rejected,
            refinement=self.refinement,
            refused=refused,
            motion=self._motions(self._tracker, stamp_ns),
            calibration=self._lessons.calibration,
            mirrored=tuple(c.name for c, view in zip(cameras, exchanged, strict=True) if view.any()),
        )
        return estimate, together

    def _estimate_alone(
        self, camera: Camera, whole: Keypoints2D, usable: NDArray[np.intp], people: Keypoints2D, stamp_ns: int
    ) -> Estimate:
        """The people of the only camera in the set, lifted; usable are the indices of people in whole."""
        start = time.perf_counter()
        observed, lifted = self._fallback.observe(camera, people, *self._tracker.expected(stamp_ns))
        pose, ids = self._tracker.update(observed, stamp_ns, self._rig.frame_id)
        return Estimate(
            pose=self._smoother(pose),
            keypoints={camera.name: whole},
            ids={camera.name: ids_of_people(len(whole), usable, lifted, ids)},
            stage_ms={"detect": 0.0, "lift": (time.perf_counter() - start) * 1e3},
            single_view=len(people),
            rejected=observed.rejected,
            refinement=RefinePlan("none", "one camera is left: its people are lifted"),
            lifted_from=camera.name,
            motion=self._motions(self._tracker, stamp_ns),
        )

    def observe(
        self, cameras: Sequence[Camera], seen: Grouped2D, stamp_ns: int
    ) -> tuple[Observed3D, Mapping[str, int], dict[str, float]]:
        """People triangulated and refined, joints that a gate refused, and how long the networks took (ms)."""
        plan, options = self._refine_plan, self._options
        if (self._refinement is None or plan.method == "none") and not options.calibration_px:
            return self._place(cameras, seen, max_std_m=options.max_std_m), {}, {}
        observed, sights = placed(
            cameras, seen, min_views=options.min_views, delta=options.huber_delta, max_std_m=np.inf
        )
        px = options.calibration_px
        if px == MEASURED:
            px = self._disagreement.update(observed, stamp_ns)
        moved = moved_by_cameras(cameras, seen, observed, options.huber_delta, sights) if px else None
        refused: Mapping[str, int] = {}
        refine_ms: dict[str, float] = {}
        if self._refinement is not None and plan.method != "none":
            start = time.perf_counter()
            refined = self._refinement(plan, cameras, seen, observed, stamp_ns)
            observed, refused = refined.observed, refined.refused
            refine_ms["refine"] = (time.perf_counter() - start) * 1e3
        if moved is not None:
            observed = with_camera_errors(observed, moved, px)
        return without_unsure(observed, options.max_std_m), refused, refine_ms
