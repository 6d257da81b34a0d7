"""One colour in every encoding of sensor_msgs, by the encodings' definitions."""

from __future__ import annotations

import numpy as np

# A colour whose three parts differ, so that a swapped channel shows.
BLUE, GREEN, RED = 20, 120, 220
H, W = 8, 12
YUV = ("yuv422", "uyvy", "yuv422_yuy2", "yuyv", "nv12", "nv21")


def plain(encoding):
    """Rows of an image that is BLUE, GREEN, RED everywhere (or as grey as RED), by the encoding's definition."""
    parts = {"b": BLUE, "g": GREEN, "r": RED, "a": 255}
    if encoding.startswith("bayer"):
        mosaic = np.array([parts[c] for c in encoding[6:10]]).reshape(2, 2)
        pixels = np.tile(mosaic, (H // 2, W // 2))
    elif encoding.startswith("mono") or encoding == "8UC1":
        pixels = np.full((H, W), RED)
    elif encoding in ("8UC3", "8UC4"):
        pixels = np.tile([BLUE, GREEN, RED, 255][: int(encoding[-1])], (H, W, 1))
    else:
        pixels = np.tile([parts[c] for c in encoding.rstrip("0168")], (H, W, 1))
    return pixels.astype(np.uint16) * 257 if encoding.endswith("16") else pixels.astype(np.uint8)


def yuv(encoding):
    """Rows of the same colour in studio-swing BT.601, which OpenCV reads (its page on colour conversions)."""
    y = 16 + 0.257 * RED + 0.504 * GREEN + 0.098 * BLUE
    u = 128 - 0.148 * RED - 0.291 * GREEN + 0.439 * BLUE
    v = 128 + 0.439 * RED - 0.368 * GREEN - 0.071 * BLUE
    if encoding in ("nv12", "nv21"):
        chroma = np.tile([u, v] if encoding == "nv12" else [v, u], (H // 2, W // 2))
        return np.vstack([np.full((H, W), y), chroma]).round().astype(np.uint8)
    order = [u, y, v, y] if encoding in ("yuv422", "uyvy") else [y, u, y, v]
    return np.tile(order, (H, W // 2)).round().astype(np.uint8)
