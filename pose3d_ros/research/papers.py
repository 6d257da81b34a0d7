"""The papers' tables that can be made again, with the figures that they print. A figure not confirmed is left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pose3d_ros.errors import InputError, shown
from pose3d_ros.research.estimates import LIFTED, PAIRED, REFINED, TRIANGULATION
from pose3d_ros.research.protocols import columns, heads, human36m, limbs, people

BY_ACTION = (*human36m.ACTIONS, human36m.AVERAGE)
AVERAGE = (human36m.AVERAGE,)


@dataclass(frozen=True)
class PaperTable:
    """One table: what is compared on which data set, and the paper's own rows."""

    paper: str
    name: str
    title: str
    source: str  # paper and table
    data: str  # of research/data_sets.py
    benchmark: str  # of research/reproduce.py
    columns: tuple[str, ...]
    published: tuple[tuple[str, tuple[float | None, ...]], ...] = ()
    methods: tuple[str, ...] = ()  # of research/estimates.py, that can be run without a results file
    options: Mapping[str, Any] = field(default_factory=dict)  # of the benchmark


MARTINEZ = 'Martinez et al., "A simple yet effective baseline for 3d human pose estimation" (ICCV 2017)'
ISKAKOV = 'Iskakov et al., "Learnable triangulation of human pose" (ICCV 2019)'
ABS_LIFTER = 'Chang, Moon and Lee, "Absolute 3D human pose lifting network" (arXiv 1910.12029)'
XIAO = 'Xiao, Wu and Wei, "Simple baselines for human pose estimation and tracking" (ECCV 2018), its authors\' page'
FASTER = 'Ye et al., "Faster VoxelPose" (ECCV 2022), its authors\' page'

TABLES = (
    PaperTable(
        "martinez", "protocol1", "Human3.6M, MPJPE mm, roots aligned", f"{MARTINEZ}, Table 2", "human36m", "human36m",
        BY_ACTION,
        (
            ("detected 2D, fine-tuned",
             (51.8, 56.2, 58.1, 59.0, 69.5, 78.4, 55.2, 58.1, 74.0, 94.6, 62.3, 59.1, 65.1, 49.5, 52.4, 62.9)),
            ("true 2D",
             (37.7, 44.4, 40.3, 42.1, 48.2, 54.9, 44.4, 42.1, 54.6, 58.0, 45.1, 46.4, 47.6, 36.4, 40.4, 45.5)),
        ),
        (LIFTED,), {"protocol": "one"},
    ),
    PaperTable(
        "martinez", "protocol2", "Human3.6M, MPJPE mm after similarity alignment", f"{MARTINEZ}, Table 3", "human36m",
        "human36m", BY_ACTION,
        (
            ("detected 2D, fine-tuned",
             (39.5, 43.2, 46.4, 47.0, 51.0, 56.0, 41.4, 40.6, 56.5, 69.4, 49.2, 45.0, 49.5, 38.0, 43.1, 47.7)),
        ),
        (LIFTED,), {"protocol": "two"},
    ),
    PaperTable(
        "martinez", "humaneva", "HumanEva-I, MPJPE mm after similarity alignment", f"{MARTINEZ}, Table 4", "humaneva",
        "humaneva", (*columns.HUMANEVA[:6], columns.AVERAGE),
        (("detected 2D", (19.7, 17.4, 46.8, 26.9, 18.2, 18.6, 24.6)),), options={"actions": ("Walking", "Jog")},
    ),
    PaperTable(
        "sun", "integral", "Human3.6M, MPJPE mm, roots aligned, every 64th frame",
        'Sun et al., "Integral human pose regression" (ECCV 2018), as Iskakov et al. quote it', "human36m", "human36m",
        BY_ACTION, (("integral regression", (*[None] * 15, 49.6)),), (LIFTED,), {"protocol": "every64"},
    ),
    PaperTable(
        "qiu", "human36m", "Human3.6M, four cameras, MPJPE mm, roots aligned",
        'Qiu et al., "Cross view fusion for 3D human pose estimation" (ICCV 2019), as Iskakov et al. quote it',
        "human36m", "human36m", BY_ACTION, (("fused, RPSM", (*[None] * 15, 26.2)),), (TRIANGULATION,),
        {"protocol": "one"},
    ),
    PaperTable(
        "qiu", "totalcapture", "TotalCapture, MPJPE mm",
        'columns of Trumble et al., "Total Capture" (BMVC 2017), as Qiu et al. (ICCV 2019) print them',
        "total_capture", "total_capture", (*columns.TOTAL_CAPTURE, columns.AVERAGE), methods=(TRIANGULATION,),
    ),
    PaperTable(
        "iskakov", "relative", "Human3.6M, four cameras, MPJPE mm, roots aligned", f"{ISKAKOV}, its authors' page",
        "human36m", "human36m", BY_ACTION,
        tuple(
            (label, (*[None] * 15, figure))
            for label, figure in (
                ("multi-view Martinez", 57.0), ("Pavlakos et al.", 56.9), ("Tome et al.", 52.8),
                ("Kadkhodamohammadi and Padoy", 49.1), ("Qiu et al.", 26.2), ("RANSAC", 27.4), ("algebraic", 22.4),
                ("volumetric", 20.5),
            )
        ),
        (TRIANGULATION,), {"protocol": "one"},
    ),
    PaperTable(
        "iskakov", "absolute", "Human3.6M, four cameras, MPJPE mm, absolute, without three displaced trials",
        f"{ISKAKOV}, its authors' page", "human36m", "human36m", BY_ACTION,
        tuple(
            (label, (*[None] * 15, figure))
            for label, figure in (("RANSAC", 22.8), ("algebraic", 19.2), ("volumetric", 17.7))
        ),
        (TRIANGULATION,), {"protocol": "absolute"},
    ),
    PaperTable(
        "posern", "joints", "Human3.6M, four cameras, MPJPE mm, absolute",
        'Sayo et al., "PoseRN" (ICIP 2021), Table 1, 17 joints', "human36m", "human36m", BY_ACTION,
        (("triangulation", (*[None] * 15, 40.0)), ("PoseRN", (*[None] * 15, 38.4))), (TRIANGULATION,),
        {"protocol": "absolute"},
    ),
    PaperTable(
        "cvugcn", "pairs", "Human3.6M, mean over the pairs P1 to P4, MPJPE mm, absolute",
        'Hua et al., "Weakly-supervised cross-view 3D human pose estimation" (arXiv 2105.10882), Table 4', "human36m",
        "human36m", BY_ACTION,
        (("triangulation", (*[None] * 15, 36.0)), ("CV-UGCN", (*[None] * 15, 27.4))), (PAIRED, REFINED),
        {"protocol": "absolute"},
    ),
    PaperTable(
        "abslifter", "true", "Human3.6M, true 2D: 16 joints after alignment of the roots, and the root",
        f"{ABS_LIFTER}, Table 1", "human36m", "roots", ("MPJPE mm", "MRPE mm"),
        (
            ("baseline", (44.9, 511.0)), ("+ location", (39.0, 369.0)), ("+ scale", (44.3, 113.0)),
            ("+ location and scale", (38.4, 98.8)),
        ),
        (LIFTED,),
    ),
    PaperTable(
        "abslifter", "detected", "Human3.6M, detected 2D: 16 joints after alignment of the roots, and the root",
        f"{ABS_LIFTER}, Table 2", "human36m", "roots", ("MPJPE mm", "MRPE mm"),
        (("trained on true 2D", (61.5, 239.0)), ("trained on a mixture of errors", (53.1, 144.0))), (LIFTED,),
    ),
    PaperTable(
        "abslifter", "3dhp", "MPI-INF-3DHP's test set: 16 joints after alignment of the roots, and the root",
        f"{ABS_LIFTER}, Table 5", "mpi_inf_3dhp", "roots", ("MPJPE mm", "MRPE mm"),
        (("depth", (None, 920.0)), ("canonical depth", (None, 421.0))), (LIFTED,),
    ),
    PaperTable(
        "mehta", "activities", "MPI-INF-3DHP's test set, universal skeleton, 14 joints: 3DPCK %, AUC % and MPJPE mm",
        'Mehta et al., "Monocular 3D human pose estimation in the wild" (3DV 2017)', "mpi_inf_3dhp", "activities",
        ("3DPCK %", "AUC %", "MPJPE mm"), methods=(LIFTED,),
    ),
    PaperTable(
        "voxelpose", "panoptic", "CMU Panoptic, four sequences, five cameras",
        FASTER, "panoptic", "people", ("MPJPE mm", "recall %", *(f"AP{limit} %" for limit in people.AP_MM)),
        (("Faster VoxelPose", (18.41, None, 86.66, 98.08, None, 99.26, None, 99.53)),),
    ),
    PaperTable(
        "voxelpose", "shelf", "Shelf, PCP %, frames 300 to 600", FASTER, "shelf", "limbs",
        ("actor 1", "actor 2", "actor 3", "average", *limbs.LIMBS),
        (("Faster VoxelPose", (None, None, None, 97.6, *[None] * 6)),),
    ),
    PaperTable(
        "voxelpose", "campus", "Campus, PCP %, frames 350 to 470 and 650 to 750", FASTER, "campus", "limbs",
        ("actor 1", "actor 2", "actor 3", "average", *limbs.LIMBS),
        (("Faster VoxelPose", (None, None, None, 96.9, *[None] * 6)),),
    ),
    PaperTable(
        "xiao", "mpii", "MPII, PCKh@0.5 %, validation", XIAO, "mpii", "heads", (*heads.COLUMNS, heads.TOTAL),
        (
            ("ResNet-50, 256 px", (96.351, 95.329, 88.989, 83.176, 88.420, 83.960, 79.594, 88.532)),
            ("ResNet-152, 384 px", (96.794, 95.618, 90.080, 86.225, 89.700, 86.862, 82.853, 90.200)),
        ),
    ),
    PaperTable(
        "xiao", "coco", "COCO val2017, keypoints, OKS", XIAO, "coco", "oks",
        ("AP", "AP50", "AP75", "AP medium", "AP large", "AR"),
        (
            ("ResNet-50, 256 x 192 px", (70.4, 88.6, 78.3, 67.1, 77.2, 76.3)),
            ("ResNet-152, 384 x 288 px", (74.3, 89.6, 81.1, 70.5, 81.6, 79.7)),
        ),
    ),
)  # fmt: skip


def paper_table(paper: str, name: str) -> PaperTable:
    """A table by the names of its paper and its own; raises InputError that lists them."""
    papers = tuple(dict.fromkeys(one.paper for one in TABLES))
    if paper not in papers:
        raise InputError(f"there is no paper {shown(paper)}: use one of {', '.join(papers)}")
    names = {one.name: one for one in TABLES if one.paper == paper}
    if name not in names:
        raise InputError(f"of {paper} there is no table {shown(name)}: use one of {', '.join(names)}")
    return names[name]
