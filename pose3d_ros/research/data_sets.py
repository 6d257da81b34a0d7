"""The data sets that can be read: where each comes from, how it lies in a folder, and against what it was tried."""

from __future__ import annotations

from dataclasses import dataclass

from pose3d_ros.research.datasets import (
    coco,
    human36m,
    humaneva,
    mpi_inf_3dhp,
    mpii,
    panoptic,
    shelf_campus,
    total_capture,
)

UNVERIFIED = "unverified: built from the published description"


@dataclass(frozen=True)
class DataSet:
    """One data set. forms: what is read -> "verified against ..." or UNVERIFIED."""

    name: str
    site: str
    expected: str
    forms: tuple[tuple[str, str], ...]

    @property
    def verified(self) -> str:
        """yes, partly or no."""
        count = sum(state != UNVERIFIED for _, state in self.forms)
        return "no" if not count else "yes" if count == len(self.forms) else "partly"


DATA_SETS = {
    "human36m": DataSet(
        human36m.NAME, human36m.SITE, human36m.EXPECTED,
        (
            ("metadata.xml", "verified against an original file"),
            ("D3_Positions, D2_Positions (.cdf)", UNVERIFIED),
            ("annot.h5 of h36m-fetch", UNVERIFIED),
            ("MyPoses/3D_positions (.h5), cameras.h5", UNVERIFIED),
            ("flat npz of poses or detections", "our own form, converted from VideoPose3D's"),
        ),
    ),
    "mpi_inf_3dhp": DataSet(
        mpi_inf_3dhp.NAME, mpi_inf_3dhp.SITE, mpi_inf_3dhp.EXPECTED,
        (("annot.mat, camera.calibration", UNVERIFIED), ("annot_data.mat of TS1 to TS6", UNVERIFIED)),
    ),
    "total_capture": DataSet(
        total_capture.NAME, total_capture.SITE, total_capture.EXPECTED,
        (
            ("gt_skel_gbl_pos.txt, gt_skel_gbl_ori.txt", "verified against original files"),
            ("calibration.cal", UNVERIFIED),
        ),
    ),
    "humaneva": DataSet(
        humaneva.NAME, humaneva.SITE, humaneva.EXPECTED,
        (
            (".cal, .ofs, .c3d", UNVERIFIED),
            ("the toolbox's poses (.mat)", UNVERIFIED),
        ),
    ),
    "panoptic": DataSet(
        panoptic.NAME, panoptic.SITE, panoptic.EXPECTED,
        (("calibration_*.json, body3DScene_*.json", "verified against original files"),),
    ),
    "shelf": DataSet(
        "Shelf", shelf_campus.SITE, shelf_campus.EXPECTED,
        (
            ("actorsGT.mat", "verified against three frames of an original, saved again by others"),
            ("calibration_shelf.json", "verified against an original file"),
            ("prmat_*.txt", UNVERIFIED),
        ),
    ),
    "campus": DataSet(
        "Campus", shelf_campus.SITE, shelf_campus.EXPECTED,
        (
            ("actorsGT.mat", "verified against three frames of an original, saved again by others"),
            ("calibration_campus.json", "verified against an original file"),
            ("prmat_*.txt", UNVERIFIED),
        ),
    ),
    "mpii": DataSet(
        mpii.NAME, mpii.SITE, mpii.EXPECTED,
        (
            ("valid.json", "verified against five people of an original"),
            ("mpii_human_pose_v1_u12_1.mat, gt_valid.mat", UNVERIFIED),
        ),
    ),
    "coco": DataSet(
        coco.NAME, coco.SITE, coco.EXPECTED,
        (("person_keypoints_val2017.json", "verified against four images of an original"),),
    ),
}  # fmt: skip
