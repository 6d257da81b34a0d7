"""Every error that a user of pose3d_ros can cause.

Pose3DError
├── InputError                an argument has the wrong shape, unit, type or range (a ValueError too)
│   └── OptionError           an option or parameter is unknown or out of its range
├── CalibrationError          cameras that cannot be used: zero K, zero baseline, missing transform
├── WeightsError              a 2D model's weights
│   ├── WeightsMissingError   not fetched yet
│   └── WeightsCorruptError   fetched, but not the file that was published
├── DownloadError             no network, or what came is not what was asked for
├── OutOfMemoryError          no memory was left for the work, on the GPU or beside it
├── FootageError              a video or recording that cannot be read
└── DependencyError           an optional part of the installation is missing

A message names the value, what was expected and the mend.
"""


class Pose3DError(Exception):
    """Root of every error that pose3d_ros raises on purpose."""


class InputError(Pose3DError, ValueError):
    """An argument has the wrong shape, unit, type or range."""


class OptionError(InputError):
    """An option or parameter is unknown or out of its range."""


class CalibrationError(Pose3DError):
    """The cameras' calibration or placement cannot be used."""


class WeightsError(Pose3DError):
    """A model's weights cannot be used."""


class WeightsMissingError(WeightsError):
    """The weights are not on this machine yet."""


class WeightsCorruptError(WeightsError):
    """The weights' SHA-256 is not the published one."""


class DownloadError(Pose3DError):
    """A file could not be fetched, or is not the one that was asked for."""


class OutOfMemoryError(Pose3DError):
    """No memory was left for the work."""


class FootageError(Pose3DError):
    """A video or recording cannot be read."""


class DependencyError(Pose3DError):
    """An optional part of the installation is missing."""
