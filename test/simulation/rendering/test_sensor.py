"""Sensors: the exposure that is aimed at, noise of the size that is asked for, colours in OpenCV's order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pose3d_ros.simulation.rendering.sensor import EXPOSURE, GAMMA, Sensor, develop, draw_sensor

CLEAN = Sensor(exposure=0.2, cast=(1.0, 1.0, 1.0), vignetting=0.0, blur_px=0.3, shot=0.0, readout=0.0)


def linear(image: np.ndarray) -> np.ndarray:
    return (image / 255.0) ** GAMMA


def developed(light: np.ndarray, sensor: Sensor, seed: int = 0) -> np.ndarray:
    return develop(light.astype(np.float32), sensor, np.random.default_rng(seed))


@pytest.mark.parametrize("brightness", [0.01, 1.0, 50.0])
@pytest.mark.parametrize("aim", EXPOSURE)
def test_exposure_hits_its_aim_however_bright_the_room_is(brightness, aim):
    light = brightness * np.random.default_rng(0).uniform(0.5, 1.5, (60, 80, 3))
    image = developed(light, replace(CLEAN, exposure=aim))
    assert linear(image).mean() == pytest.approx(aim, rel=0.02)


@pytest.mark.parametrize(("shot", "readout"), [(0.0, 0.008), (0.0012, 0.0), (0.001, 0.005)])
def test_noise_has_the_size_that_is_asked_for(shot, readout):
    light = np.ones((200, 200, 3))
    image = developed(light, replace(CLEAN, shot=shot, readout=readout))
    quantised = (1.0 / 255.0) / np.sqrt(12.0) * GAMMA * 0.2 ** (1.0 - 1.0 / GAMMA)
    expected = np.sqrt(shot * 0.2 + readout**2 + quantised**2)
    assert linear(image).std() == pytest.approx(expected, rel=0.05)


def test_no_noise_is_drawn_for_a_clean_sensor():
    light = np.ones((20, 20, 3))
    assert np.ptp(developed(light, CLEAN)) == 0


def test_red_light_is_the_last_channel():
    light = np.zeros((8, 8, 3))
    light[..., 0] = 1.0
    image = developed(light, CLEAN)
    assert (image[..., 2] > 100).all()
    assert (image[..., :2] == 0).all()


def test_vignetting_darkens_corners():
    image = linear(developed(np.ones((41, 41, 3)), replace(CLEAN, vignetting=0.3)))
    assert image[0, 0, 0] / image[20, 20, 0] == pytest.approx(0.7, abs=0.02)


def test_bright_light_saturates_without_overflow():
    light = np.full((40, 40, 3), 0.1)
    light[10:20, 10:20] = 1000.0
    image = developed(light, CLEAN)
    assert image[12:18, 12:18].min() >= 250


def test_the_same_seed_gives_the_same_sensor_and_bytes():
    sensors = [draw_sensor(np.random.default_rng(seed)) for seed in (3, 3, 4)]
    assert sensors[0] == sensors[1] != sensors[2]
    light = np.random.default_rng(1).uniform(0.0, 1.0, (20, 30, 3))
    assert developed(light, sensors[0], 5).tobytes() == developed(light, sensors[1], 5).tobytes()
    assert developed(light, sensors[0], 5).tobytes() != developed(light, sensors[0], 6).tobytes()
