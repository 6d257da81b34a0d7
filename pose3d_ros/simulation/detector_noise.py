"""Noise fitted to a detector: the mixture of every joint, lasting in time, with misses, exchanges and a score.

What is drawn, of AbsPoseLifter's Eq. 8: the normal part and really the uniform one too. Errors last (AR(1) in time);
whether a joint is an outlier, missed or exchanged lasts alike. The score falls with the error, but only on average:

    logit(score) = score_base - score_fall |e| + score_spread n,     n ~ N(0, 1), e in crop px

Left and right joints share one mixture, mirrored.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from pose3d_ros.errors import InputError
from pose3d_ros.files import values
from pose3d_ros.files.documents import json_content
from pose3d_ros.files.door import NOISE, read_text
from pose3d_ros.simulation.detector_residuals import BODY, BODY_PAIRS, Residuals
from pose3d_ros.simulation.gaussian_uniform_mixture import HALF_RANGE_PX, Mixture, fit_mixture
from pose3d_ros.simulation.noise_models import DETECTED, autoregressive
from pose3d_ros.structures import Floats

# A keypoint below this score counts as missed.
LEAST_SCORE = 0.1
# Limbs that are taken for the other side's as a whole.
LIMBS = (("Hip", "Knee", "Ankle"), ("Elbow", "Wrist"))
# Time over which the correlation of errors is measured, s: one step of the motion data (12 fps).
LAG_S = 1.0 / 12.0
NORMAL_REACH = 3.0
# Beyond this error, crop px, a score does not fall any further.
SCORE_REACH_PX = 20.0
# Scale of normal errors and share of outliers (DetectorNoise.scaled) with which robust triangulation errs as much as
# with independent noise of the rig's sigma_px, by the beginning of the family's name: on training rigs and validation
# subjects 35.0 mm for 33.9 (h36m, pairs), 63.7 for 63.9 (room2), 19.7 for 20.9 (room4), 157 for 151 (head).
# Single cameras (mono) triangulate nothing: theirs is the rooms'.
MATCHED = {"h36m": (0.7, 0.25), "room": (0.8, 0.25), "head": (0.28, 0.05), "mono": (0.8, 0.25)}


@dataclass(frozen=True, eq=False)
class DetectorNoise:
    """A detector's errors in crop px; joints are those of consensus.BODY (B = 13)."""

    mixtures: tuple[Mixture, ...]  # B
    miss: Floats  # (B,) share of joints not given
    exchange: float  # share of limbs taken for the other side's
    last_s: float  # time after which the correlation of errors has fallen to 1/e
    score_base: float
    score_fall: float  # per crop px
    score_spread: float
    fitted_to: str  # where the numbers come from

    def __call__(
        self, true_px: Floats, px_per_crop_px: Floats, dt_s: float, rng: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """See noise.Noise."""
        body = true_px[..., DETECTED, :]
        shape = body.shape[:-1]  # (V, W, T, B)
        rho = float(np.exp(-dt_s / self.last_s))
        error = self.errors(shape, rho, rng)
        start = np.where(self._exchanged(shape, rho, rng)[..., None], body[..., _OTHER_SIDE, :], body)
        missed = autoregressive(shape, rho, rng) < ndtri(self.miss)
        size = np.minimum(np.linalg.norm(error, axis=-1), SCORE_REACH_PX)
        logit = self.score_base - self.score_fall * size + self.score_spread * autoregressive(shape, rho, rng)
        xy, score = np.full_like(true_px, np.nan), np.zeros(true_px.shape[:-1])
        gone = missed | np.isnan(body).any(axis=-1)
        moved = start + error * px_per_crop_px[..., None, None]
        xy[..., DETECTED, :] = np.where(gone[..., None], np.nan, moved)
        score[..., DETECTED] = np.where(gone, 0.0, 1.0 / (1.0 + np.exp(-logit)))
        return xy, score

    def errors(self, shape: tuple[int, ...], rho: float, rng: np.random.Generator) -> Floats:
        """Errors (*shape, 2) crop px of shape (V, W, T, B), each distributed by its mixture, correlated by rho."""
        gamma = np.array([one.gamma for one in self.mixtures])
        mean = np.stack([one.mean for one in self.mixtures])
        root = np.stack([np.linalg.cholesky(one.covariance) for one in self.mixtures])
        normal = mean + np.einsum("bxy,...by->...bx", root, autoregressive((*shape, 2), rho, rng))
        uniform = HALF_RANGE_PX * (2.0 * np.asarray(ndtr(autoregressive((*shape, 2), rho, rng))) - 1.0)
        outlier = ndtr(autoregressive(shape, rho, rng)) > gamma
        return np.where(outlier[..., None], uniform, normal)

    def _exchanged(self, shape: tuple[int, ...], rho: float, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which joints (V, W, T, B) lie on the other side: whole limbs."""
        return limbs(autoregressive((*shape[:3], len(LIMBS)), rho, rng) < ndtri(self.exchange))

    def normal_only(self) -> DetectorNoise:
        """One normal distribution a joint, of the same mean and covariance as the whole mixture: the paper's ablation.

        Neither misses nor exchanges; the score as it is.
        """
        wide = (2.0 * HALF_RANGE_PX) ** 2 / 12.0 * np.eye(2)
        singles = []
        for one in self.mixtures:
            mean = one.gamma * one.mean
            second = one.gamma * (one.covariance + np.outer(one.mean, one.mean)) + (1.0 - one.gamma) * wide
            singles.append(Mixture(1.0, mean, second - np.outer(mean, mean)))
        return replace(
            self,
            mixtures=tuple(singles),
            miss=np.zeros(len(BODY)),
            exchange=0.0,
            fitted_to=f"one normal distribution of {self.fitted_to}",
        )

    def scaled(self, factor: float, outliers: float = 1.0) -> DetectorNoise:
        """The noise of a detector whose normal errors are factor times as large, its outliers as frequent."""
        mixtures = tuple(
            Mixture(1.0 - outliers * (1.0 - m.gamma), factor * m.mean, factor**2 * m.covariance) for m in self.mixtures
        )
        return replace(self, mixtures=mixtures, fitted_to=f"{self.fitted_to}, x {factor:g}, outliers x {outliers:g}")

    def save(self, path: Path | str) -> None:
        """Write JSON."""
        plain = asdict(self) | {"joints": list(BODY), "unit": "px of a 256 px crop"}
        Path(path).write_text(json.dumps(plain, indent=1, default=lambda array: np.round(array, 6).tolist()) + "\n")

    @staticmethod
    def load(path: Path | str) -> DetectorNoise:
        """Read what save wrote; raises InputError for any other file."""
        plain = json_content(read_text(path, NOISE), str(path), NOISE)
        try:
            if plain.pop("joints") != list(BODY) or plain.pop("unit") != "px of a 256 px crop":
                raise ValueError("other joints or unit")
            mixtures = tuple(map(_mixture, plain.pop("mixtures")))
            miss, fitted_to = values.numbers(plain.pop("miss"), len(BODY)), values.name(plain.pop("fitted_to"))
            figures = {key: float(values.numbers(one)) for key, one in plain.items()}
            noise = DetectorNoise(mixtures=mixtures, miss=miss, fitted_to=fitted_to, **figures)
            shares = np.append(miss, noise.exchange)
            if len(mixtures) != len(BODY) or not ((shares >= 0) & (shares <= 1)).all() or not noise.last_s > 0:
                raise ValueError(f"{len(mixtures)} mixtures, shares {shares.min():g} to {shares.max():g}")
            if not np.isfinite(list(figures.values())).all():
                raise ValueError("a number is not finite")
            return noise
        except (AttributeError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise InputError(f"{path} is not noise fitted by `pose3d fit-noise` ({error}): fit it again") from error


def default_noise() -> DetectorNoise:
    """The default detector's noise, fitted on the multi-person trial: its shape is what training adds."""
    return DetectorNoise.load(str(files("pose3d_ros.simulation").joinpath("noise_multi.json")))


def rendered_noise() -> DetectorNoise:
    """The default detector's noise on rendered people against their true joints, at its own size.

    Fitted on other people, motion and rooms than those of test noise (c).
    """
    return DetectorNoise.load(str(files("pose3d_ros.simulation").joinpath("noise_rendered.json")))


def training_noise(family: str) -> DetectorNoise:
    """The fitted shape at the size that a family of rigs (simulated_rigs.FAMILIES) is trained and tested at."""
    for begins, (factor, outliers) in MATCHED.items():
        if family.startswith(begins):
            return default_noise().scaled(factor, outliers)
    raise InputError(f"there is no noise for rigs of family {family!r}: use one of {', '.join(MATCHED)}")


def fit_noise(residuals: Residuals, fitted_to: str, *, shrunk: bool = True) -> DetectorNoise:
    """Noise from residuals; shrunk: they are against a consensus that they took part in, so they are scaled up."""
    error = residuals.error / (residuals.shrinkage if shrunk else 1.0)  # (R, T, B, 2)
    mixtures = {joint: _mirrored_fit(error, joint) for joint in range(len(BODY))}
    score = residuals.score
    given, known = score >= LEAST_SCORE, np.isfinite(score)
    size = np.minimum(np.linalg.norm(error, axis=-1), SCORE_REACH_PX)
    usable = given & np.isfinite(size)
    logit = np.log(score[usable] / (1.0 - np.minimum(score[usable], 0.999)))
    fall, base = np.polyfit(size[usable], logit, 1)
    miss = (known & ~given).sum(axis=(0, 1)) / np.maximum(known.sum(axis=(0, 1)), 1)
    for left, right in BODY_PAIRS:
        miss[[left, right]] = miss[[left, right]].mean()
    return DetectorNoise(
        mixtures=tuple(mixtures[joint] for joint in range(len(BODY))),
        miss=miss,
        exchange=float(residuals.exchanged[known].mean()),
        last_s=correlation_time(error, tuple(mixtures.values()), residuals.fps),
        score_base=float(base),
        score_fall=float(max(-fall, 0.0)),
        score_spread=float(np.std(logit - base - fall * size[usable])),
        fitted_to=fitted_to,
    )


def correlation_time(error: Floats, mixtures: Sequence[Mixture], fps: float) -> float:
    """Seconds after which AR(1) errors (R, T, B, 2) forget: from their correlation over LAG_S.

    Counted between errors within NORMAL_REACH standard deviations of the normal part, so that outliers, which come
    and go, do not stand for all.
    """
    lag = max(round(LAG_S * fps), 1)
    mean = np.stack([one.mean for one in mixtures])
    root = np.stack([np.linalg.cholesky(np.linalg.inv(one.covariance)) for one in mixtures])
    white = np.einsum("byx,...by->...bx", root, error - mean)  # (R, T, B, 2), of unit covariance
    white = np.where(np.linalg.norm(white, axis=-1, keepdims=True) < NORMAL_REACH, white, np.nan)
    product = white[:, lag:] * white[:, :-lag]
    both = np.isfinite(product)
    if not both.any():
        raise InputError(f"the recording is too short to measure how long errors last: {error.shape[1]} frames")
    square = (white[:, lag:] ** 2 + white[:, :-lag] ** 2)[both].mean() / 2.0
    return float(-lag / fps / np.log(np.clip(product[both].mean() / square, 0.01, 0.99)))


def limbs(which: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Joints (..., B) of the limbs (..., len(LIMBS)) that are exchanged, left and right."""
    joints = np.zeros((*which.shape[:-1], len(BODY)), dtype=bool)
    for number, parts in enumerate(LIMBS):
        for joint, name in enumerate(BODY):
            if name[1:] in parts:
                joints[..., joint] = which[..., number]
    return joints


def other_side() -> list[int]:
    """Index (B,) that exchanges left and right."""
    index = list(range(len(BODY)))
    for left, right in BODY_PAIRS:
        index[left], index[right] = right, left
    return index


_OTHER_SIDE = other_side()


def _mixture(plain: dict[str, object]) -> Mixture:
    """One joint's, out of JSON; raises ValueError for what is no distribution."""
    one = Mixture(
        float(values.numbers(plain["gamma"])),
        values.numbers(plain["mean"], 2),
        values.numbers(plain["covariance"], 2, 2),
    )
    if not 0 <= one.gamma <= 1 or not np.isfinite(one.mean).all() or not np.isfinite(one.covariance).all():
        raise ValueError(f"gamma is {one.gamma:g}, or a number is not finite")
    if np.linalg.eigvalsh(one.covariance).min() <= 0:
        raise ValueError(f"covariance is {one.covariance.tolist()}")
    return one


def _mirrored_fit(error: Floats, joint: int) -> Mixture:
    """The mixture of a joint and, mirrored, of its partner; of a joint in the middle with its own mirror image."""
    partner = _OTHER_SIDE[joint]
    own, other = error[:, :, joint].reshape(-1, 2), error[:, :, partner].reshape(-1, 2)
    return fit_mixture(np.concatenate([own, other * (-1.0, 1.0)]))
