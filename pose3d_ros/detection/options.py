"""Which detector runs: one set of options, for nodes' parameters, commands and Python."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pose3d_ros.errors import OptionError
from pose3d_ros.options import check, from_mapping, info_of, option

DETECTORS = ("auto", "topdown", "movenet-lightning", "movenet-multipose", "onnx")


@dataclass(frozen=True)
class DetectorOptions:
    """Which detector looks for people, and how."""

    detector: str = option(
        "auto",
        "auto: NanoDet finds people, MoveNet Lightning their joints, and Thunder, slower and more exact, those of "
        "people who are new or unsure, and of everybody now and then; topdown: always Thunder; movenet-lightning: "
        "always Lightning; movenet-multipose: one small network finds up to six people and their joints; "
        "onnx: a network of your own, detector_model",
        choices=DETECTORS,
        read_only=True,
    )
    detector_model: str = option(
        "", "with detector onnx: the file of a network for 2D poses (docs/detectors.md)", read_only=True
    )
    detector_kind: str = option(
        "auto",
        "what the file holds: simcc (RTMPose) or heatmap (HRNet, ViTPose), which need NanoDet to find people; or "
        "one-stage (RTMO, YOLO-pose); auto: told by its outputs",
        choices=("auto", "simcc", "heatmap", "one-stage"),
        read_only=True,
    )
    detector_skeleton: str = option(
        "coco_17",
        "joints that the file's network gives: coco_17, halpe_26, ..., or their names separated by commas",
        read_only=True,
    )
    detector_input: str = option(
        "auto",
        "what the file's network takes: imagenet: RGB less ImageNet's mean, over its deviation; unit: RGB from 0 to 1; "
        "raw: BGR from 0 to 255; auto: imagenet for simcc and heatmap; for one-stage unit with one output, else raw",
        choices=("auto", "imagenet", "unit", "raw"),
        read_only=True,
    )
    detector_spread: float = option(
        1.0,
        "how much larger the errors of the file's keypoints are than those of MoveNet Thunder",
        low=0.1,
        high=10.0,
        read_only=True,
    )
    search_every: int = option(
        8,
        "look for new people in every n-th image of a camera (of three cameras or more: every 2n-th, in turn), and "
        "when a person is lost whom the other cameras do not place",
        low=1,
        high=1000,
        read_only=True,
    )
    box_score: float = option(0.15, "lowest score of a box around a person", low=0.0, high=1.0, read_only=True)
    box_scale: float = option(1.1, "how much larger than the person the crop is", low=1.0, high=2.0, read_only=True)
    person_score: float = option(
        0.5, "lowest mean score of a person's better half of joints", low=0.0, high=1.0, read_only=True
    )
    max_detections: int = option(10, "most people in one image", low=1, high=100, read_only=True)
    precision: str = option(
        "auto",
        "half: float16 on a GPU, bfloat16 on a CPU that has it; auto: half where the hardware computes it natively",
        choices=("auto", "full", "half"),
        read_only=True,
    )
    backend: str = option(
        "auto",
        "what runs the networks for people and joints (not a file's): torch, openvino (CPUs only, full precision), or "
        "auto: the faster one on this machine, measured at the first start",
        choices=("auto", "torch", "openvino"),
        read_only=True,
    )

    def __post_init__(self) -> None:
        check(self)
        if self.detector == "onnx" and not self.detector_model:
            raise OptionError("option 'detector' is 'onnx': name the network's file in detector_model")
        if self.backend == "openvino" and self.precision == "half":
            raise OptionError(
                "option 'backend' is 'openvino', which runs in full precision: use precision auto or full"
            )
        if self.detector != "onnx" and self.detector_model:
            raise OptionError(
                f"option 'detector_model' is {self.detector_model!r}, but 'detector' is {self.detector!r}: give onnx"
            )


def weights_of(options: DetectorOptions) -> tuple[str, ...]:
    """Names of the models in the weights' table that a detector needs, for store.fetch."""
    if options.detector == "movenet-multipose":
        return ("movenet-multipose",)
    if options.detector == "onnx":
        return () if options.detector_kind == "one-stage" else ("nanodet",)
    return (*joints_models(options), "nanodet")


def joints_models(options: DetectorOptions) -> tuple[str, ...]:
    """The lighter one first."""
    own = {"auto": ("movenet-lightning", "movenet-thunder"), "topdown": ("movenet-thunder",)}
    return own.get(options.detector, (options.detector,))


def non_default(options: DetectorOptions) -> dict[str, Any]:
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
