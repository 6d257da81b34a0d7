"""Colours of people."""

from __future__ import annotations

import random

import numpy as np

from pose3d_ros.plots.palette import PALETTE, UNKNOWN, PersonColours, nth_colour


def test_people_who_are_there_from_the_start_have_the_palette_in_their_order() -> None:
    ids = [str(k) for k in range(1, 8)]
    assert list(PersonColours()(ids).values()) == list(PALETTE)
    assert PersonColours()(["anna"])["anna"] in PALETTE


def test_fault_two_people_in_one_colour() -> None:
    """Fault: people whose ids are seven apart, or more people than the palette has colours, are there together.
    Sees: each of them in a colour of their own, on markers, in the live view and in videos.
    Recovers: nothing to recover.
    Kind: K10
    Before: colours went by id modulo 7, and two people had one.
    """
    for ids in (["1", "8"], ["8", "1", "15"], [str(k) for k in range(1, 41)], ["anna", "bert", "3", "cleo"]):
        given = PersonColours()(ids)
        assert len(set(given.values())) == len(ids), ids


def test_fault_colours_change_when_others_come_and_go() -> None:
    """Fault: people come and go for hours while others stay.
    Sees: those who stay keep their colour, and no two people who are there together share one.
    Recovers: nothing to recover.
    Kind: K10
    Before: colours never changed, but people shared them.
    """
    colours, draw = PersonColours(), random.Random(1)
    living: dict[str, tuple[int, int, int]] = {}
    next_id = 1
    for _ in range(2000):
        living = {one: colour for one, colour in living.items() if draw.random() > 0.1}
        for _ in range(12):
            if len(living) >= draw.randrange(12):
                break
            living[str(next_id)] = (-1, -1, -1)
            next_id += draw.randrange(1, 4)
        given = colours(living)
        assert len(set(given.values())) == len(living)
        for one, before in living.items():
            assert before in (given[one], (-1, -1, -1))
        living = given
    assert len(colours._places) < 30, "people who left are forgotten"


def test_person_who_was_out_of_sight_comes_back_in_the_same_colour() -> None:
    colours = PersonColours()
    before = colours(["1", "8"])
    colours(["1"])
    assert colours(["1", "8"]) == before


def test_forty_people_have_distinguishable_colours() -> None:
    """No two of the first twenty colours are nearer than a tenth of a channel, no two of forty equal, none grey."""
    colours = np.array([nth_colour(n) for n in range(40)])
    apart = np.abs(colours[:, None] - colours[None]).max(axis=-1) + 255 * np.eye(40, dtype=int)
    assert apart[:20, :20].min() >= 25
    assert apart.min() >= 8
    assert np.ptp(colours, axis=1).min() > 60, f"unlike {UNKNOWN}, which stands for people without an id"
