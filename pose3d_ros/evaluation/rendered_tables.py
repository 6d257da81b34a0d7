"""The tables of `pose3d evaluate rendered`: the detector and the whole chain against the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pose3d_ros.evaluation.bias_table import bias_table
from pose3d_ros.evaluation.chain_tables import group_table, identity_table, stage_table
from pose3d_ros.evaluation.detector_tables import keypoint_table, people_table, reality_table, score_table
from pose3d_ros.evaluation.evaluated_scenes import Evaluated
from pose3d_ros.evaluation.rendered import by_moment, match_poses
from pose3d_ros.evaluation.tables import Table
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.weights.trained import Loaded


def tables(
    done: Sequence[Evaluated],
    footage: Sequence[Path] = (),
    node: Sequence[Recording] = (),
    posern: Loaded | None = None,
) -> Iterator[Table]:
    """All tables.

    Reality only with recordings of footage, a row of the node only with its recordings of all scenes, bias only with a
    network and scenes of several cameras.
    """
    over_dds = [match_poses(one.scene, by_moment(recording)) for one, recording in zip(done, node, strict=False)]
    if footage:
        yield reality_table(done, footage)
    yield people_table(done)
    yield keypoint_table(done)
    yield score_table(done)
    yield stage_table(done, over_dds)
    if posern and any(len(one.scene.rig.cameras) > 1 for one in done):
        yield bias_table(done, posern)
    yield group_table(done)
    yield identity_table(done, over_dds)
