"""What people wear and look like: colours of skin, hair and clothes over the body, and how far they stand off it.

Regions are levels of smooth fields over the template's vertices (how far along an arm, a leg, up the trunk), so that a
hem is sharp between vertices, and the same garment fits every body. NumPy, float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.simulation.rendering.bodies import template, template_bones
from pose3d_ros.simulation.rendering.textures import noise_at

Reals = NDArray[np.float32]

# The ten tones of the Monk Skin Tone scale (Monk 2023, CC BY 4.0), sRGB.
SKIN = ("f6ede4", "f3e7db", "f7ead0", "eadaba", "d7bd96", "a07e56", "825c43", "604134", "3a312a", "292420")
# The scale shows colours on a screen; the palest skin reflects about 0.6 of red light.
SKIN_REFLECTS = 0.7
HAIR = ("090806", "2c222b", "3b302a", "4e433f", "6a4e42", "a7856a", "b89778", "8d4a43", "b7a69e", "d6c4c2")
# Half of all garments are of these: black, white, greys, navy, denim, khaki, olive, burgundy.
PLAIN = ("15151a", "e9e9e6", "8b8d91", "4a4c52", "1e2740", "3c5273", "6d84a3", "b8a583", "5a5d3c", "5a1f2b")
EYES, LIPS_SHARE = ("3b2a1e", "5b7a94", "4d6b45"), 0.75
PATTERNS = ("plain", "stripes", "bands", "checks", "print")


@dataclass(frozen=True)
class Garment:
    """Colour and pattern of one piece of clothing."""

    colour: tuple[float, float, float]  # linear RGB
    second: tuple[float, float, float]
    pattern: str
    period_m: float


@dataclass(frozen=True)
class Outfit:
    """One person's looks."""

    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
    eyes: tuple[float, float, float]
    shoes: tuple[float, float, float]
    top: Garment
    bottom: Garment
    sleeve: float  # where sleeves end along the arm
    trouser: float  # where trousers end along the leg
    waist: float  # where the top ends, along the leg
    bare_scalp: float  # m: hair begins this much farther back
    loose_m: tuple[float, float]  # how far top and trousers hang off the body
    hair_m: float
    seed: int


def draw_outfit(rng: np.random.Generator) -> Outfit:
    """Anyone's clothes, hair and skin."""
    return Outfit(
        skin=_shade(_linear(SKIN[rng.integers(len(SKIN))]), rng, 0.1, SKIN_REFLECTS),
        hair=_shade(_linear(HAIR[rng.integers(len(HAIR))]), rng, 0.2),
        eyes=_linear(EYES[rng.integers(len(EYES))]),
        shoes=_colour(rng),
        top=_garment(rng),
        bottom=_garment(rng, patterned=0.15),
        sleeve=float(rng.choice([0.15, rng.uniform(0.4, 0.8), rng.uniform(1.3, 1.6), 1.93], p=[0.1, 0.4, 0.1, 0.4])),
        trouser=float(rng.choice([rng.uniform(0.5, 1.0), rng.uniform(1.3, 1.6), 1.9], p=[0.25, 0.1, 0.65])),
        waist=float(rng.uniform(-0.25, 0.2)),
        bare_scalp=float(rng.choice([0.0, rng.uniform(0.0, 0.05), 1.0], p=[0.75, 0.15, 0.1])),
        loose_m=(float(rng.uniform(0.004, 0.025)), float(rng.uniform(0.003, 0.025))),
        hair_m=float(rng.uniform(0.005, 0.035)),
        seed=int(rng.integers(2**31)),
    )


def standoff(outfit: Outfit, fields: Reals) -> Reals:
    """How far clothes, shoes and hair stand off the skin, (N,) m along the normals, at all vertices' fields (N, 11)."""
    along_arm, along_leg, head, foot, scalp = fields[:, :5].T
    top, bottom = _worn(along_arm, along_leg, head, outfit)
    out = _ramp(bottom, 0.05) * outfit.loose_m[1] * np.clip(0.4 + along_leg * 0.5, 0.3, 1.2)
    # Cloth lies on the shoulders, and hangs below the chest.
    hanging = np.clip(0.7 - along_leg, 0.5, 1.2) * np.clip(2.0 * (along_leg + 1.0), 0.2, 1.0)
    hanging = np.where(along_arm > 0, np.clip(0.2 + along_arm, 0.2, 0.8), hanging)
    out = np.maximum(out, _ramp(top, 0.05) * outfit.loose_m[0] * hanging)
    out = np.maximum(out, _ramp(foot - 0.5, 0.2) * 0.008)
    out = np.maximum(out, _ramp(scalp - outfit.bare_scalp, 0.015) * outfit.hair_m)
    return np.asarray(out, dtype=np.float32)


def albedo(outfit: Outfit, fields: Reals) -> tuple[Reals, NDArray[np.bool_]]:
    """Linear RGB (S, 3) of points on a person, and which of them are cloth (S,); fields (S, 11) as of body_fields."""
    along_arm, along_leg, head, foot, scalp, eye = fields[:, :6].T
    place, face = fields[:, 6:9], fields[:, 9:11]
    top, bottom = _worn(along_arm, along_leg, head, outfit)
    fine = noise_at(place * 12.0 + outfit.seed % 97)
    colour = np.asarray(outfit.skin, np.float32) * (0.9 + 0.2 * fine)[:, None]
    _face(colour, outfit, face, head, place)
    _paint(colour, bottom > 0, _cloth(outfit.bottom, place))
    _paint(colour, top > 0, _cloth(outfit.top, place))
    _paint(colour, foot > 0.5, np.asarray(outfit.shoes, np.float32))
    hair = np.asarray(outfit.hair, np.float32) * (0.5 + fine)[:, None]
    _paint(colour, scalp > outfit.bare_scalp, hair)
    white = eye > 0.5
    _paint(colour, white, np.array([0.75, 0.75, 0.75], np.float32))
    # The iris: a disc of 6 mm about each eye's middle, 31 mm from the face's.
    iris = white & (np.hypot(np.abs(face[:, 0]) - 0.031, face[:, 1]) < 0.007)
    _paint(colour, iris, np.asarray(outfit.eyes, np.float32))
    return colour, (top > 0) | (bottom > 0)


def _worn(along_arm: Reals, along_leg: Reals, head: Reals, outfit: Outfit) -> tuple[Reals, Reals]:
    """How far inside top and trousers, in units of the fields; negative outside."""
    # The neckline runs where the head's weight begins.
    top = np.minimum(np.minimum(outfit.sleeve - along_arm, outfit.waist - along_leg), 0.05 - head)
    bottom = np.minimum(outfit.trouser - along_leg, along_leg + 0.35)
    bottom = np.where(along_arm > 0.1, -1.0, bottom)
    return top.astype(np.float32), bottom.astype(np.float32)


def _face(colour: Reals, outfit: Outfit, face: Reals, head: Reals, place: Reals) -> None:
    """Eyebrows, lips and the darker skin about the eyes."""
    front = (head > 0.5) & (place[:, 1] < -0.09)
    across, up = np.abs(face[:, 0]), face[:, 1]
    brows = front & (across > 0.012) & (across < 0.052) & (np.abs(up - 0.019) < 0.004)
    _paint(colour, brows, np.asarray(outfit.hair, np.float32))
    lips = front & (across < 0.026) & (np.abs(up + 0.073) < 0.0075)
    red = np.asarray(outfit.skin, np.float32) * np.array([0.85, 0.5, 0.5], np.float32)
    _paint(colour, lips, red)
    about = front & (np.hypot(across - 0.031, up) < 0.02)
    colour[about] *= 0.8
    nostrils = front & (np.abs(across - 0.008) < 0.005) & (np.abs(up + 0.047) < 0.004)
    colour[nostrils] *= 0.45


def _cloth(garment: Garment, place: Reals) -> Reals:
    """Linear RGB (S, 3) of a garment at places in the template (S, 3) m."""
    phase = place / np.float32(garment.period_m)
    if garment.pattern == "stripes":
        second = np.mod(phase[:, 0], 1.0) < 0.4
    elif garment.pattern == "bands":
        second = np.mod(phase[:, 2], 1.0) < 0.4
    elif garment.pattern == "checks":
        second = (np.mod(phase[:, 0], 1.0) < 0.5) ^ (np.mod(phase[:, 2], 1.0) < 0.5)
    elif garment.pattern == "print":
        second = noise_at(place / (4.0 * np.float32(garment.period_m))) > 0.6
    else:
        second = np.zeros(len(place), dtype=bool)
    out = np.where(second[:, None], np.array(garment.second, np.float32), np.array(garment.colour, np.float32))
    out *= (0.8 + 0.4 * noise_at(place * 3.0))[:, None]
    return out.astype(np.float32)


def _paint(colour: Reals, where: NDArray[np.bool_], with_what: Reals) -> None:
    colour[where] = with_what if with_what.ndim == 1 else with_what[where]


def _ramp(level: Reals, width: float) -> Reals:
    out: Reals = np.clip(level / width, 0.0, 1.0).astype(np.float32)
    return out


def _garment(rng: np.random.Generator, patterned: float = 0.45) -> Garment:
    pattern = PATTERNS[rng.integers(1, len(PATTERNS))] if rng.random() < patterned else PATTERNS[0]
    return Garment(_colour(rng), _colour(rng), pattern, float(rng.uniform(0.015, 0.09)))


def _colour(rng: np.random.Generator) -> tuple[float, float, float]:
    if rng.random() < 0.5:
        return _shade(_linear(PLAIN[rng.integers(len(PLAIN))]), rng, 0.3)
    hue, saturation, value = rng.random(), rng.uniform(0.1, 0.7), rng.uniform(0.03, 0.6)
    parts = np.abs(np.mod(hue * 6.0 + np.array([0.0, 4.0, 2.0]), 6.0) - 3.0) - 1.0
    red, green, blue = value * (1.0 - saturation + saturation * np.clip(parts, 0.0, 1.0))
    return float(red), float(green), float(blue)


def _shade(
    colour: tuple[float, float, float], rng: np.random.Generator, spread: float, factor: float = 1.0
) -> tuple[float, float, float]:
    red, green, blue = np.clip(factor * np.array(colour) * rng.uniform(1.0 - spread, 1.0 + spread, 3), 0.004, 0.95)
    return float(red), float(green), float(blue)


def _linear(code: str) -> tuple[float, float, float]:
    """Linear RGB of an sRGB colour in hexadecimal."""
    red, green, blue = ((int(code[n : n + 2], 16) / 255.0) ** 2.2 for n in (0, 2, 4))
    return red, green, blue


@cache
def body_fields() -> Reals:
    """What garments are cut by, at every vertex of the template, (N, 11), computed once.

    0 how far along an arm: 0 shoulder, 1 elbow, 2 wrist, below 0 on the trunk; 1 how far along a leg: 0 hip, 1 knee,
    2 ankle, below 0 on the trunk, -1 at the shoulders; 2 head: 1, elsewhere 0; 3 foot; 4 how far inside the hair, m;
    5 eyeball; 6 to 8 the place in the template, m; 9, 10 left and up from the middle of the eyes, m.
    """
    vertices, _ = template()
    heads, weights = template_bones()

    def part(*names: str) -> NDArray[np.float64]:
        total = np.zeros(len(vertices))
        for bone, weight in weights.items():
            if bone.split(".")[0].rstrip("0123456789-") in names:
                total = total + weight
        return total

    arms = part("upperarm", "lowerarm", "wrist", "finger", "metacarpal")
    legs = part("upperleg", "lowerleg", "foot", "toe")
    left = vertices[:, 0] > 0
    along_arm = _along_both(vertices, left, heads, ("upperarm01", "lowerarm01", "wrist"))
    along_leg = _along_both(vertices, left, heads, ("upperleg01", "lowerleg01", "foot"))
    shoulder, hip = heads["upperarm01.L"][2], heads["upperleg01.L"][2]
    trunk = -(vertices[:, 2] - hip) / (shoulder - hip)
    # At the groin trunk and thigh meet at the same height.
    along_leg = np.where(legs > 0.5, np.maximum(along_leg, 0.0), np.minimum(trunk, 0.15))
    along_leg = np.where(arms > 0.5, -0.8, along_leg)
    along_arm = np.where(arms > 0.5, along_arm, np.minimum(along_arm, 0.0) - 0.3)
    head = part("head", "eye") + 0.5 * weights["neck03"]
    middle = (heads["eye.L"] + heads["eye.R"]) / 2.0
    from_eyes = vertices - middle
    # Hair: above a line 5.5 cm over the eyes, and behind the ears (10 cm behind the eyes) down to the mouth's height.
    scalp = np.minimum(
        np.maximum(from_eyes[:, 2] - 0.055, np.minimum(from_eyes[:, 1] - 0.10, from_eyes[:, 2] + 0.085)), head - 0.4
    )
    columns = (along_arm, along_leg, head, part("foot", "toe"), scalp, part("eye"))
    table = np.concatenate([np.stack(columns, axis=1), vertices, from_eyes[:, [0, 2]]], axis=1)
    return np.ascontiguousarray(table, dtype=np.float32)


def _along_both(
    vertices: NDArray[np.float64],
    left: NDArray[np.bool_],
    heads: dict[str, NDArray[np.float64]],
    names: tuple[str, ...],
) -> NDArray[np.float64]:
    """How far along a limb of two bones vertices lie: 0 at its begin, 1 at the hinge, 2 at its end; beyond linearly."""
    out = np.zeros(len(vertices))
    for side, own in (("L", left), ("R", ~left)):
        begin, hinge, end = (heads[f"{name}.{side}"] for name in names)
        upper, lower = hinge - begin, end - hinge
        first = (vertices - begin) @ upper / (upper @ upper)
        second = (vertices - hinge) @ lower / (lower @ lower)
        out = np.where(own, np.where(second > 0, 1.0 + second, np.minimum(first, 1.0)), out)
    return out
