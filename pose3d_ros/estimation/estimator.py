"""Images of calibrated cameras in, people in three dimensions out; one camera lifts, two or more triangulate.

The whole chain is PoseEstimator._estimate, step by step. NumPy, float64.
Axes: V views, G groups of 2D people, J joints.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pose3d_ros.arguments import check_is
from pose3d_ros.detection.detector import UsesPredictedBoxes
from pose3d_ros.errors import CalibrationError, FootageError, InputError
from pose3d_ros.estimation.background import BackgroundUpdates, FrameObservation
from pose3d_ros.estimation.body_frames import body_frames, moved_rays
from pose3d_ros.estimation.calibration_noise import MEASURED, CalibrationNoise
from pose3d_ros.estimation.detector_joints import DetectorPeople
from pose3d_ros.estimation.earlier_rigs import EarlierRigs
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.head_top import with_head_tops
from pose3d_ros.estimation.left_right import PARTS, unswap_left_right
from pose3d_ros.estimation.measured_people import MeasuredPeople, Stopwatch
from pose3d_ros.estimation.observation import (
    Grouped2D,
    People2D,
    associated_rows,
    calibration_shift,
    triangulate_people,
    triangulated,
    with_calibration_noise,
    without_uncertain,
)
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.predicted_boxes import predicted_boxes
from pose3d_ros.estimation.prediction import Motions
from pose3d_ros.estimation.publish_filter import filter_people
from pose3d_ros.estimation.refinement.plan import RefinePlan
from pose3d_ros.estimation.refinement.stage import Refinement, load_refinement
from pose3d_ros.estimation.rig_certainty import uncertain_for_rig
from pose3d_ros.estimation.single_view import PersonLifter
from pose3d_ros.estimation.smoothing import Smoother
from pose3d_ros.estimation.track import Observed3D, no_pose
from pose3d_ros.estimation.tracking import LIFTED, TRIANGULATED, Tracker
from pose3d_ros.estimation.views import Views, as_message
from pose3d_ros.geometry.calibration import check_image_size, same_calibration
from pose3d_ros.geometry.observations import Observations
from pose3d_ros.geometry.orientation import with_orientations
from pose3d_ros.monitoring.floor_contact import FloorContact
from pose3d_ros.monitoring.health import CalibrationHealth
from pose3d_ros.options import check_changes
from pose3d_ros.rigs.rig_checks import validate_rig
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.state import Stateful, parts_of, per_rig
from pose3d_ros.structures import Camera, FrameSet, Keypoints2D, Pose3D, Rig
from pose3d_ros.synchronisation.resampling import Resampler

if TYPE_CHECKING:
    from pose3d_ros.detection.detector import Detector


class PoseEstimator:
    """People's poses from synchronised images of one camera or more; remembers people between calls.

    rig places the cameras; detector defaults to the top-down detector (its weights are loaded on first use). Poses are
    in rig.frame_id, m. Two cameras or more triangulate. The people of a rig of one camera are lifted from its view; so
    are those of a set in which one camera of several is left, and keep their ids (monocular_fallback). lifter and
    refinement are networks that were loaded before.
    Raises CalibrationError for a rig that cannot be true (rigs/rig_checks.py) or of fewer than min_views cameras, but
    for one whose people can be lifted; WeightsError or InputError where a network that the options name
    cannot be had.
    """

    def __init__(
        self,
        rig: Rig,
        detector: Detector | None = None,
        options: EstimatorOptions = EstimatorOptions(),
        lifter: PersonLifter | None = None,
        *,
        refinement: Refinement | None = None,
    ) -> None:
        check_is("the estimator's rig", rig, Rig)
        check_is("the estimator's options", options, EstimatorOptions)
        self._rig, self._options = rig, options
        self._detector, self._refinement = detector, refinement
        self._lifter = lifter or PersonLifter(options.monocular_fallback, options.lifter)
        self._tracker = self._new_tracker()
        self._smoother = Smoother(options.smoothing, options.lag_sets)
        self._motions, self._resampler = Motions(), Resampler()
        self._calibration_noise, self._earlier_rigs = CalibrationNoise(), EarlierRigs()
        self._floor_contact = FloorContact()
        self._background = BackgroundUpdates(rig, self._lifter)
        self._waiting: list[Estimate] = []  # the last lag_sets + 1
        self.set_rig(rig)

    @property
    def rig(self) -> Rig:
        """The cameras as they are placed now."""
        return self._rig

    @property
    def calibration_health(self) -> CalibrationHealth:
        """How the cameras fit each other, by the frame sets so far."""
        return self._background.calibration_health

    @property
    def refinement(self) -> RefinePlan:
        """Which networks refine the poses of this rig, and why."""
        return self._plan

    @property
    def parts(self) -> dict[str, Stateful]:
        """Everything that remembers from frame set to frame set, by name."""
        return parts_of(self)

    def set_rig(self, rig: Rig) -> None:
        """Use other cameras or a new calibration from now on; people keep their ids.

        What was learnt of a calibration comes back with it: a camera that was away for a moment changes nothing.
        """
        one = len(rig.cameras) == 1
        if len(rig.cameras) < self._options.min_views and not (one and self._lifter.load()):
            raise CalibrationError(
                f"the rig has {len(rig.cameras)} cameras ({', '.join(rig.names)}), but {self._options.min_views} must "
                "see a joint before it is triangulated: add cameras, or lower min_views (2 at least)"
                + (f"; people cannot be lifted from one view: {self._lifter.described}" if one else "")
            )
        validate_rig(rig)
        self._background.run()
        before, self._rig = self._rig, rig
        if one != (len(before.cameras) == 1):
            self._tracker = self._new_tracker(self._tracker)
        changed = {} if same_calibration(before.cameras, rig.cameras) else per_rig(self)
        if changed:
            self._earlier_rigs.keep(before, {name: part.state_dict() for name, part in changed.items()})
        for part in changed.values():
            part.begin_again()
        self._background.calibration_health.set_rig(rig)
        for name, state in (self._earlier_rigs.take(rig) if changed else {}).items():
            changed[name].load_state_dict(state)
        self._plan = self._planned()

    def set_options(self, options: EstimatorOptions) -> None:
        """Work by other options from the next frame set on; people keep their ids.

        Raises OptionError, and changes nothing, where one differs that is fixed at start.
        """
        check_changes(self._options, options)
        before, self._options = self._options, options
        self._tracker = self._new_tracker(self._tracker)
        if (options.smoothing, options.lag_sets) != (before.smoothing, before.lag_sets):
            self._smoother, self._waiting = Smoother(options.smoothing, options.lag_sets), []

    def reset(self) -> None:
        """Forget all people; ids are not used again, and what was learnt of the cameras stays."""
        self._waiting = []
        for part in self.parts.values():
            part.reset()
        if self._detector is not None:
            self._detector.reset()

    def state_dict(self) -> dict[str, Any]:
        """What was learnt from the frame sets so far, by part; checkpoint.to_bytes writes it.

        It holds the estimator's own objects: make bytes of it before the next call.
        """
        self._background.run()
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

    def update_background(self) -> Exception | None:
        """Learn what the last frame set says apart from its pose (background.py); returns what went wrong.

        A caller that sends poses on calls it once a pose is out, for it may take longer than the pose. Otherwise the
        next call does it first, and warns once of a failure.
        """
        return self._background.run(warn=False)

    def __call__(self, frames: FrameSet) -> Pose3D:
        """All people's poses at the frames' newest stamp."""
        return self.estimate(frames).pose

    def estimate(self, frames: FrameSet) -> Estimate:
        """All people's poses, and how they came about.

        Raises InputError for a camera that the rig lacks, CalibrationError for an image that is not of its camera's
        calibrated size.
        """
        self._check_names(frames.images)
        for name, image in frames.images.items():
            check_image_size(self._rig.camera(name), image.shape)
        start = time.perf_counter()
        if self._detector is None:
            # Imported late: estimating from keypoints alone needs no detector.
            from pose3d_ros.detection.factory import make_detector

            self._detector = make_detector()
            self._plan = self._planned()
        if isinstance(self._detector, UsesPredictedBoxes) and len(self._rig.cameras) > 1:
            cameras = [self._rig.camera(name) for name in frames.images]
            self._detector.set_predicted_boxes(predicted_boxes(cameras, self._tracker.predicted(frames.stamp_ns)))
        keypoints = {name: as_message(one) for name, one in self._detector(frames).items()}
        detect_ms = (time.perf_counter() - start) * 1e3
        estimate = self._estimate(keypoints, frames.stamp_ns)
        return replace(estimate, stage_ms={"detect": detect_ms, **estimate.stage_ms})

    def estimate_from_keypoints(self, keypoints: Mapping[str, Keypoints2D]) -> Estimate:
        """The same from 2D people by camera, in any skeleton that h36m_17 can be derived from.

        The pose's stamp is the newest of the keypoints'. Raises InputError for a camera that the rig lacks, or when
        there is no camera at all.
        """
        self._check_names(keypoints)
        if not keypoints:
            raise InputError("estimating needs keypoints of at least one camera, got none")
        return self._estimate(keypoints, max(k.stamp_ns for k in keypoints.values()))

    def _estimate(self, detected: Mapping[str, Keypoints2D], stamp_ns: int) -> Estimate:
        """The pipeline, step by step: one frame set from 2D people to poses."""
        options = self._options
        self._background.run()
        shown = Views.of(self._rig, detected, options)
        views, stamp_ns = self._resampled(shown, detected, stamp_ns)
        if len(views.cameras) == 1 and self._lifter.load():
            people = self._lift(views, stamp_ns)
        else:
            people = self._triangulate(views, stamp_ns)
        pose, ids = self._tracker.update(people.observed, stamp_ns, self._rig.frame_id)
        tracked = pose.ids
        own = self._detector_people(people, views, ids)
        if own is not None:
            pose = with_head_tops(pose, own, people.observed)
        smoothed = self._smoother(pose, dict(zip(ids, people.frames, strict=False)))
        smoothed = self._floor_contact(with_orientations(smoothed))
        pose = pose if options.lag_sets else smoothed
        estimate = self._estimate_of(people, pose, shown, views.ids(people.groups, ids))
        estimate = replace(estimate, detector_joints=None if own is None else own.pose)
        if len(self._rig.cameras) > 1:
            together = people.together(views, ids, tracked)
            self._background.put(
                FrameObservation(stamp_ns, self._rig, estimate.keypoints, estimate.ids, together, pose, options)
            )
        if options.lag_sets:
            estimate = self._delayed(estimate, smoothed)
        return filter_people(estimate, options.workspace_min, options.workspace_max, options.max_people)

    def _delayed(self, estimate: Estimate, smoothed: Pose3D) -> Estimate:
        """The estimate lag_sets ago with its pose smoothed; without people until there are so many."""
        late = self._options.lag_sets
        self._waiting = [*self._waiting, estimate][-late - 1 :]
        if len(self._waiting) <= late:
            empty = no_pose(H36M_17, estimate.pose.stamp_ns, estimate.pose.frame_id)
            ids = {camera: ("",) * len(names) for camera, names in estimate.ids.items()}
            return replace(estimate, pose=empty, ids=ids, motion=None, waits=True)
        return replace(self._waiting[0], pose=smoothed, stage_ms=estimate.stage_ms, sets_late=late)

    def _detector_people(self, people: MeasuredPeople, views: Views, ids: tuple[str, ...]) -> DetectorPeople | None:
        """The people as their detector has them; None where they were lifted."""
        if people.swapped is None:
            return None
        px = self._options.calibration_px
        px = self._calibration_noise.px if px == MEASURED else px
        return DetectorPeople(views, people.groups, ids, people.swapped, self._options, px)

    def _resampled(self, views: Views, detected: Mapping[str, Keypoints2D], stamp_ns: int) -> tuple[Views, int]:
        """The 2D people at one time, where compensate_offsets is set, and that time."""
        if not self._options.compensate_offsets:
            return views, stamp_ns
        detected, stamp_ns = self._resampler(detected, self._background.clocks.usable_s)
        return Views.of(self._rig, detected, self._options), stamp_ns

    def _lift(self, views: Views, stamp_ns: int) -> MeasuredPeople:
        """The people of the only camera of a set, lifted."""
        clock = Stopwatch()
        names, expected = self._tracker.expected(stamp_ns)
        observed, rows = self._lifter.observe(
            views.cameras[0], views.people[0], names, expected, self._options.body_height_m,
            self._smoother.body.statures_m(),
        )  # fmt: skip
        clock.lap("lift")
        return MeasuredPeople(observed, rows[:, None], clock.laps_ms, single_view=len(views.people[0]))

    def _triangulate(self, views: Views, stamp_ns: int) -> MeasuredPeople:
        """The people whom two cameras or more see: associated, triangulated, refined."""
        cameras, options, clock = views.cameras, self._options, Stopwatch()
        expected = self._tracker.predicted(stamp_ns)
        flat = People2D.of(views.people).undistorted(cameras)
        rows = associated_rows(cameras, flat, expected, options.association_limit_mrad)
        n_views = (rows >= 0).sum(-1)
        shared = n_views >= options.min_views
        clock.lap("associate")
        triangulate = partial(triangulated, min_views=options.min_views, max_std_m=np.inf)
        keypoints, swapped = unswap_left_right(cameras, flat, rows[shared], expected, triangulate)
        observed, not_refined, rays = self.triangulate(cameras, keypoints, stamp_ns, clock)
        groups = np.where(rows >= 0, rows - flat.bounds[:-1], -1)
        return MeasuredPeople(
            observed,
            groups[shared],
            clock.laps_ms,
            single_view=int((n_views == 1).sum()),
            all_groups=groups,
            not_refined=not_refined,
            swapped=np.stack([swapped[..., list(part)].any(-1) for part in PARTS], axis=-1),
            frames=body_frames(rays, observed, stamp_ns) if options.smoothing == "body" else (),
        )

    def triangulate(
        self, cameras: Sequence[Camera], keypoints: Grouped2D, stamp_ns: int, clock: Stopwatch
    ) -> tuple[Observed3D, Mapping[str, int], Observations]:
        """Associated people triangulated and refined, joints that a gate of refinement refused, and their rays.

        The rays are those that triangulate to the refined joints.
        """
        options, plan = self._options, self._plan
        observed, rays = triangulate_people(cameras, keypoints, min_views=options.min_views, max_std_m=np.inf)
        px = options.calibration_px
        if px == MEASURED:
            px = self._calibration_noise.update(observed, stamp_ns)
        shift = calibration_shift(cameras, keypoints, observed, rays) if px else None
        clock.lap("triangulate")
        not_refined: Mapping[str, int] = {}
        if self._refinement is not None and plan.method != "none":
            refined = self._refinement(plan, cameras, keypoints, observed)
            rays = moved_rays(rays, observed.xyz, refined.observed.xyz)
            observed, not_refined = refined.observed, refined.refused
            clock.lap("refine")
        if shift is not None:
            observed = with_calibration_noise(observed, shift, px)
        observed = without_uncertain(observed, options.max_std_m, uncertain_for_rig(cameras, keypoints, observed))
        clock.lap("triangulate")
        return observed, not_refined, rays

    def _estimate_of(
        self, people: MeasuredPeople, pose: Pose3D, views: Views, ids: Mapping[str, tuple[str, ...]]
    ) -> Estimate:
        """The frame set's estimate; views are those of the images, not of the common time."""
        several, lifted = len(self._rig.cameras) > 1, people.all_groups is None
        plan = RefinePlan("none", "one camera is left: its people are lifted") if lifted else self.refinement
        return Estimate(
            pose=pose,
            keypoints=views.keypoints,
            ids=ids,
            stage_ms=people.stage_ms,
            single_view=people.single_view,
            rejected=people.observed.rejected,
            refinement=plan if several else None,
            not_refined=people.not_refined,
            lifted_from=views.cameras[0].name if lifted and several else "",
            swapped=people.swapped_in(views),
            motion=replace(self._motions(self._tracker, pose.stamp_ns), calm=self._options.smoothing == "body"),
            frames=self._smoother.body.frames(pose),
            reports=self._background.reports(len(views.cameras)) if several else (),
        )

    def _check_names(self, given: Mapping[str, object]) -> None:
        unknown = sorted(set(given) - set(self._rig.names))
        if unknown:
            raise InputError(f"the rig has no camera {', '.join(unknown)}: it has {', '.join(self._rig.names)}")

    def _new_tracker(self, before: Tracker | None = None) -> Tracker:
        """A tracker by the options of now; it goes on with the people of `before`."""
        options, limits = self._options, LIFTED if len(self._rig.cameras) == 1 else TRIANGULATED
        tracker = Tracker(
            H36M_17,
            limits,
            lost_after_s=options.lost_after_s,
            max_age_s=options.max_age_s,
            jump_distance_m=options.jump_distance_m,
            min_hits=options.min_hits,
        )
        if before is not None:
            tracker.load_state_dict(before.state_dict())
        return tracker

    def _planned(self) -> RefinePlan:
        """Which networks refine this rig's poses."""
        if len(self._rig.cameras) == 1:
            return RefinePlan("none", "one camera: its people are lifted")
        if self._refinement is None:
            self._refinement = load_refinement(self._options, self._detector)
        if self._refinement is None:
            return RefinePlan("none", "refine is none")
        return self._refinement.plan(self._rig, self._detector.name if self._detector is not None else "")
