"""Which detector runs: one set of options, and the one function that makes a Detector of them.

No torch and no ONNX Runtime is loaded here before a detector is wanted.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pose3d_ros.detection.detector import Detector
from pose3d_ros.options import check, from_mapping, info_of, option

DETECTORS = ("topdown", "movenet-lightning")


@dataclass(frozen=True)
class DetectorOptions:
    """Which detector looks for people, and how."""

    detector: str = option(
        "topdown",
        "topdown: NanoDet finds people, MoveNet Thunder their joints; movenet-lightning: the same with a faster, "
        "less exact network for the joints",
        choices=DETECTORS,
    )
    search_every: int = option(
        8, "look for new people in every n-th image of a camera, and whenever somebody is lost", low=1, high=1000
    )
    box_score: float = option(0.15, "lowest score of a box around a person", low=0.0, high=1.0)
    box_scale: float = option(1.1, "how much larger than the person the crop is", low=1.0, high=2.0)
    person_score: float = option(0.5, "lowest mean score of a person's better half of joints", low=0.0, high=1.0)
    max_people: int = option(10, "most people in one image", low=1, high=100)
    precision: str = option(
        "auto",
        "half: float16 on a GPU, bfloat16 on a CPU; auto: half where the hardware computes it natively",
        choices=("auto", "full", "half"),
    )

    def __post_init__(self) -> None:
        check(self)


def make_detector(options: DetectorOptions | None = None, device: str = "auto") -> Detector:
    """The detector that the options name, on a device (auto, cpu, cuda, cuda:1, ...).

    Raises WeightsMissingError, WeightsCorruptError, InputError.
    """
    from pose3d_ros.detection.top_down import TopDownDetector

    return TopDownDetector(device, options or DetectorOptions())


def weights_of(options: DetectorOptions) -> tuple[str, ...]:
    """Names of the models in the weights' table that a detector needs, for store.fetch."""
    return (joints_model(options), "nanodet")


def joints_model(options: DetectorOptions) -> str:
    """The model that finds the joints."""
    return "movenet-thunder" if options.detector == "topdown" else options.detector


def told(options: DetectorOptions) -> dict[str, Any]:
    """The options that are not the defaults, by name: what a node must be given as parameters."""
    return {one.name: value for one in fields(options) if (value := getattr(options, one.name)) != one.default}


def add_arguments(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """The options of a command that say which detector runs: --detector and what belongs to it."""
    for one in fields(DetectorOptions):
        if one.name.startswith("detector"):
            info = info_of(one)
            parser.add_argument(
                f"--{one.name.replace('_', '-')}",
                type=type(one.default),
                choices=info.choices or None,
                default=one.default or None,
                help=info.description,
            )


def from_arguments(args: argparse.Namespace, **others: Any) -> DetectorOptions:
    """The options that a command line with add_arguments gives, and others by name; raises OptionError.

    A model's path is made absolute: nodes run in another folder.
    """
    names = [one.name for one in fields(DetectorOptions) if one.name.startswith("detector")]
    given = {name: value for name in names if (value := getattr(args, name)) is not None} | others
    if given.get("detector_model"):
        given["detector_model"] = str(Path(given["detector_model"]).expanduser().resolve())
    return from_mapping(DetectorOptions, given)
