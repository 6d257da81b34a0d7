"""Stamps that are implausible by the reader's clock: one message for node, bag reader and doctor.

No ROS and no clock in here: the caller passes the time.
"""

from __future__ import annotations

# Stamps this far from the reader's clock are wrong: machines with NTP agree within milliseconds, a simulation's /clock
# lags its images by a tick, and people observed so long ago are not published (max_age_s).
WINDOW_S = 1.0
# No machine runs for ten years, and no system clock is set to the seventies: smaller stamps count from a start.
LONGEST_UPTIME_NS = 315_360_000 * 10**9

FIX = "play bags with --clock and use_sim_time: true, synchronise clocks (chrony, PTP), or set stamps: arrival"
BOOT_FIX = "set use_sim_time: true for a simulation; else make drivers stamp with system time, or set stamps: arrival"


def is_outside(stamp_ns: int, now_ns: int, window_s: float = WINDOW_S) -> bool:
    """Whether a stamp is outside the window around the reader's clock; never if that is 0, unknown."""
    return now_ns > 0 and abs(now_ns - stamp_ns) > window_s * 1e9


def off_clock_words(what: str, stamp_ns: int, now_ns: int, came: str = "when they come") -> tuple[str, str]:
    """The fault of such stamps, and its fix.

    what: "images on /left/image_raw"; stamp_ns and now_ns: one stamp, and the clock at its arrival or recording, as
    `came` describes.
    """
    if 0 < stamp_ns < LONGEST_UPTIME_NS < now_ns:
        return (
            f"cameras stamp with time since boot (or simulation time): {what} are stamped {stamp_ns * 1e-9:.1f} s",
            BOOT_FIX,
        )
    late_s = (now_ns - stamp_ns) * 1e-9
    way = f"{_duration(late_s)} old {came}" if late_s > 0 else f"{_duration(-late_s)} in the future"
    return f"{what} are stamped {way}", FIX


def _duration(seconds: float) -> str:
    for unit, length_s in (("years", 365.25 * 86400), ("days", 86400), ("hours", 3600)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.1f} {unit}"
    return f"{seconds:.1f} s"
