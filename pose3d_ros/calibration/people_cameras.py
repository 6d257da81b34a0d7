"""The lenses with which calibration by people starts: of a file, guessed, or those of a recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pose3d_ros.calibration.phone_lenses import PHONE_35MM, guessed_camera, video_focal_35mm
from pose3d_ros.errors import CalibrationError, InputError, shown
from pose3d_ros.files.door import expanded
from pose3d_ros.files.media_tags import picture_focal_35mm
from pose3d_ros.geometry.calibration import check_image_size
from pose3d_ros.rigs.camera_checks import validate_camera
from pose3d_ros.rigs.formats.rig_file import read_rig
from pose3d_ros.structures import Camera

GUESS = "guess"


@dataclass(frozen=True)
class CameraRequest:
    """What the command line says of lenses, not yet parsed."""

    intrinsics: str = ""  # a calibration file, "guess", or empty: those of the recording
    photos: tuple[str, ...] = ()  # CAMERA=PICTURE, for their focal length
    size_wh: tuple[int, int] | None = None  # px, of keypoint files


def named_sources(sources: Sequence[str]) -> dict[str, Path]:
    """Paths by camera, of CAMERA=PATH or of files whose stem is the camera's name; raises InputError."""
    paths: dict[str, Path] = {}
    for text in sources:
        camera, sign, place = text.partition("=")
        path = expanded(place) if sign else expanded(text)
        if not sign or expanded(text).is_file():
            camera, path = Path(text).stem, expanded(text)
        if not camera or (sign and not place):
            raise InputError(f"{shown(text)}: expected CAMERA=VIDEO, CAMERA=FOLDER of keypoints, or <camera>.mp4")
        if camera in paths:
            raise InputError(f"camera {camera!r} is given twice, {paths[camera]} and {path}: give it once")
        paths[camera] = path
    return paths


def cameras_of(
    request: CameraRequest, sizes: Mapping[str, tuple[int, int] | None], videos: Mapping[str, Path],
    own: Mapping[str, Camera] | None = None,
) -> dict[str, Camera]:  # fmt: skip
    """The cameras by name: guessed, of a file, or own ones of a recording.

    sizes: of their images in px, where known; videos: for their metadata. Raises InputError, CalibrationError.
    """
    photos = named_sources(request.photos)
    if photos and request.intrinsics != GUESS:
        raise InputError("--photo: pictures only say a focal length to guess from: give --intrinsics guess too")
    if strange := [name for name in photos if name not in sizes]:
        raise InputError(f"--photo: no camera {strange[0]!r}: there are {', '.join(sizes)}")
    if request.intrinsics == GUESS:
        cameras = {name: _guessed(name, size, videos.get(name), photos.get(name)) for name, size in sizes.items()}
    elif request.intrinsics:
        rig = read_rig(expanded(request.intrinsics), size_wh=request.size_wh, cameras=list(sizes))
        cameras = {name: rig.camera(name) for name in sizes}
    elif own:
        cameras = dict(own)
    else:
        raise InputError(
            "--intrinsics is missing: give a calibration file with the cameras' lenses (docs/calibration.md), or guess"
        )
    for name, camera in cameras.items():
        size = sizes[name]
        if size is not None and size != camera.size_wh and size == camera.size_wh[::-1]:
            raise CalibrationError(
                f"camera {name!r}: its images are {size[0]} x {size[1]} px as they are stored, its intrinsics are "
                f"for the turned image of {camera.size_wh[0]} x {camera.size_wh[1]} px: turn the video's pixels "
                "(ffmpeg -i IN OUT), or calibrate the lens with images as they are stored"
            )
        if size is not None:
            check_image_size(camera, size[::-1])
        validate_camera(camera)
    return cameras


def _guessed(name: str, size_wh: tuple[int, int] | None, video: Path | None, photo: Path | None) -> Camera:
    """A camera by a picture of it, its video's metadata, or the lens that phones have."""
    if size_wh is None:
        raise InputError(f"--intrinsics guess: the image size of {name} is unknown, give --size WIDTHxHEIGHT")
    focal = None if photo is None else picture_focal_35mm(photo)
    if photo is not None and focal is None:
        raise InputError(f"--photo {name}={photo}: its Exif data hold no FocalLengthIn35mmFilm: omit --photo")
    if focal is None and video is not None:
        focal = video_focal_35mm(video)
    return guessed_camera(name, size_wh, focal or PHONE_35MM)
