"""Options of the detector, for node parameters, commands and Python."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from typing import Any

from pose3d_ros.errors import OptionError
from pose3d_ros.files.door import expanded
from pose3d_ros.options import check, from_mapping, info_of, option

DETECTORS = ("auto", "topdown", "movenet-lightning", "movenet-multipose", "onnx")


@dataclass(frozen=True)
class DetectorOptions:
    """Options of the detector."""

    detector: str = option(
        "auto",
        "auto: NanoDet detects people, MoveNet Lightning their joints; Thunder, slower and more accurate, the joints "
        "of new or uncertain people, and of all people from time to time; topdown: always Thunder; movenet-lightning: "
        "always Lightning; movenet-multipose: one small network for up to six people and their joints; onnx: your own "
        "network, detector_model",
        choices=DETECTORS,
        read_only=True,
    )
    detector_model: str = option(
        "", "with detector onnx: the ONNX file of a 2D pose network (docs/detectors.md)", read_only=True
    )
    detector_kind: str = option(
        "auto",
        "kind of the network: simcc (RTMPose) or heatmap (HRNet, ViTPose), which need NanoDet to detect people; or "
        "one-stage (RTMO, YOLO-pose); auto: from its outputs",
        choices=("auto", "simcc", "heatmap", "one-stage"),
        read_only=True,
    )
    detector_skeleton: str = option(
        "coco_17",
        "joints of the network: coco_17, halpe_26, body_25, wholebody_133, ..., or their names separated by commas",
        read_only=True,
    )
    detector_input: str = option(
        "auto",
        "input of the network: imagenet: RGB normalised by ImageNet's mean and standard deviation; unit: RGB from 0 to "
        "1; raw: BGR from 0 to 255; auto: imagenet for simcc and heatmap; one-stage: unit with one output, else raw",
        choices=("auto", "imagenet", "unit", "raw"),
        read_only=True,
    )
    search_every: int = option(
        8,
        "search new people in every n-th image of a camera (with three or more cameras: every 2n-th, in turn), and "
        "when a person is lost whom the other cameras do not locate",
        low=1,
        high=1000,
        read_only=True,
    )
    # Of rendered people of whom nothing is hidden, 0.5 rejects 9 to 10 % (crouching, lying, small), 0.4 0 to 3 %, for
    # one false person in 320 images (docs/rendering.md).
    person_score: float = option(
        0.4,
        "minimum score of a person: the mean of the better half of joints, raised where the box is surer than "
        "they are; people near it get a second look",
        low=0.0,
        high=1.0,
        read_only=True,
    )
    max_detections: int = option(10, "maximum number of people per image", low=1, high=100, read_only=True)
    precision: str = option(
        "auto",
        "half: float16 on a GPU, bfloat16 on a CPU that supports it; auto: half if the hardware supports it natively",
        choices=("auto", "full", "half"),
        read_only=True,
    )
    backend: str = option(
        "auto",
        "backend of the built-in networks: torch, openvino (CPUs only, full precision), or auto: the faster one on "
        "this machine, measured at the first start",
        choices=("auto", "torch", "openvino"),
        read_only=True,
    )

    def __post_init__(self) -> None:
        check(self)
        if self.detector == "onnx" and not self.detector_model:
            raise OptionError("option 'detector' is 'onnx': set detector_model to the network's file")
        if self.backend == "openvino" and self.precision == "half":
            raise OptionError(
                "option 'backend' is 'openvino', which runs in full precision: use precision auto or full"
            )
        if self.detector != "onnx" and self.detector_model:
            raise OptionError(
                f"option 'detector_model' is {self.detector_model!r}, but detector is {self.detector!r}: set it to onnx"
            )


def weights_of(options: DetectorOptions) -> tuple[str, ...]:
    """Return the names of the models that a detector needs, for store.fetch."""
    if options.detector == "movenet-multipose":
        return ("movenet-multipose",)
    if options.detector == "onnx":
        return () if options.detector_kind == "one-stage" else ("nanodet",)
    return (*joints_models(options), "nanodet")


def joints_models(options: DetectorOptions) -> tuple[str, ...]:
    """Return the models for joints, the lighter one first."""
    models = {"auto": ("movenet-lightning", "movenet-thunder"), "topdown": ("movenet-thunder",)}
    return models.get(options.detector, (options.detector,))


def non_default(options: DetectorOptions) -> dict[str, Any]:
    """Return the options that differ from the defaults, by name, to set as node parameters."""
    return {field.name: value for field in fields(options) if (value := getattr(options, field.name)) != field.default}


def add_arguments(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add --detector and its related options to a command."""
    for field in fields(DetectorOptions):
        if field.name.startswith("detector"):
            info = info_of(field)
            parser.add_argument(
                f"--{field.name.replace('_', '-')}",
                type=type(field.default),
                choices=info.choices or None,
                default=field.default or None,
                help=info.description,
            )


def from_arguments(args: argparse.Namespace, **others: Any) -> DetectorOptions:
    """Return the options of a command line with add_arguments, and others by name; raises OptionError.

    A model's path is made absolute: nodes run in another folder.
    """
    names = [field.name for field in fields(DetectorOptions) if field.name.startswith("detector")]
    values = {name: value for name in names if (value := getattr(args, name)) is not None} | others
    if values.get("detector_model"):
        values["detector_model"] = str(expanded(values["detector_model"]).resolve())
    return from_mapping(DetectorOptions, values)
