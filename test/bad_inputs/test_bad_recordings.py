"""Keypoint files, pictures, videos, bags and networks, spoilt in seeded ways: refused in a short message, or sound."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from bad_refusals import case, check_message, check_refused, refusal, run
from bad_templates import coco_results, openpose_frame, rig, write_json
from bad_values import shorn_trees, spoilt_bytes, spoilt_texts, spoilt_trees
from bag_writing import small_bag
from trained_for_tests import POSERN

from pose3d_ros.networks.build import build
from pose3d_ros.recordings.bag_recording import header_stamp_ns, open_bag
from pose3d_ros.recordings.encoded_images import read_image
from pose3d_ros.recordings.footage import read_video
from pose3d_ros.recordings.keypoint_files import open_keypoints
from pose3d_ros.rigs.rig_yaml import save_rig
from pose3d_ros.training.loop import read_checkpoint
from pose3d_ros.weights import trained


def people_of(path: Path) -> list[np.ndarray]:
    """The people of every frame of a keypoint file or folder."""
    opened = open_keypoints(path, "body_25" if path.is_dir() else "auto")
    return [points for frame in opened.numbers if (points := opened.people(frame)) is not None]


def check_people(found: list[np.ndarray]) -> None:
    """Points within any image, scores that a network can have."""
    for points in found:
        assert not np.isinf(points).any()
        assert np.nanmax(np.abs(points[..., :2]), initial=0.0) <= 1e6
        assert np.nanmax(np.abs(points[..., 2]), initial=0.0) <= 100.0


def openpose_folder(folder: Path) -> Path:
    folder.mkdir()
    for frame in range(3):
        write_json(folder / f"left_{frame:012d}_keypoints.json", openpose_frame(frame))
    return folder


def test_keypoint_files_are_read_unspoilt_and_with_what_editors_leave(tmp_path: Path) -> None:
    folder = openpose_folder(tmp_path / "left")
    results = write_json(tmp_path / "right.json", coco_results(rig().cameras[1]))
    check_people(people_of(folder))
    check_people(people_of(results))
    text = results.read_text()
    turned = json.dumps(
        [dict(reversed(entry.items())) | {"bbox": [0, 0, 9, 9]} for entry in json.loads(text)], indent=2
    )
    for variant in (text.encode("utf-8-sig"), turned.replace("\n", "\r\n").encode(), text.replace(" ", "").encode()):
        results.write_bytes(variant)
        np.testing.assert_array_equal(
            people_of(results)[2], people_of(write_json(tmp_path / "a.json", json.loads(text)))[2]
        )


@pytest.mark.parametrize("form", ["openpose", "coco"])
def test_spoilt_keypoints_are_rejected_or_sound(form: str, tmp_path: Path) -> None:
    faults: list[str] = []
    if form == "openpose":
        path = openpose_folder(tmp_path / "left")
        target, tree = path / "left_000000000001_keypoints.json", openpose_frame(1)
    else:
        path = target = tmp_path / "left.json"
        tree = coco_results(rig().cameras[0])
    for what, spoilt in [*spoilt_trees(tree, 11, 60), *shorn_trees(tree)]:
        write_json(target, spoilt)
        with case(faults, what):
            found, message = refusal(lambda: people_of(path))
            check_message(message, target.name, "left") if message else check_people(found)
            spoils = any(word in what for word in ("keypoints", "image_id", "people"))
            free = any(word in what for word in ("person_id", "text", "nan", "empty list")) or what.startswith(
                "without"
            )
            assert message or free or not spoils, "was taken"
    for what, data in [*spoilt_bytes(json.dumps(tree).encode(), 12, 25), *spoilt_texts(json.dumps(tree, indent=1))]:
        target.write_bytes(data)
        with case(faults, what):
            found, message = refusal(lambda: people_of(path))
            check_message(message, target.name, "left") if message else check_people(found)
    assert not faults, "\n".join(faults)


def png() -> bytes:
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    return bytes(cv2.imencode(".png", image)[1])


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header announces another size than it has."""
    data = bytearray(png())
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".webp", ".tiff", ".pgm"])
def test_damaged_pictures_are_rejected_or_whole(ending: str, tmp_path: Path) -> None:
    path, faults = tmp_path / f"a{ending}", []
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    whole = bytes(cv2.imencode(ending, image[..., 0] if ending == ".pgm" else image)[1])
    path.write_bytes(whole)
    assert read_image(path).shape == (48, 64, 3)
    for what, data in spoilt_bytes(whole, len(ending), 20):
        path.write_bytes(data)
        with case(faults, what):
            found, message = refusal(lambda: read_image(path))
            if message:
                check_message(message, path.name)
            else:
                assert found.shape[2] == 3
                assert found.size < 3 * 2**26
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("size", [(60_000, 60_000), (2**31 - 1, 2**31 - 1), (100_000_000, 1), (0, 48)])
def test_picture_that_announces_gigabytes_is_rejected_before_it_is_decoded(
    size: tuple[int, int], tmp_path: Path
) -> None:
    (tmp_path / "bomb.png").write_bytes(png_of(*size))
    check_refused("mono", "--image", tmp_path / "bomb.png", "--output", tmp_path / "o", names=("bomb.png",))
    board = (
        "calibrate",
        "board",
        f"left={tmp_path / '*.png'}",
        "--board",
        "chessboard:9x6:0.025",
        "--output",
        tmp_path / "o",
    )
    check_refused(*board, "--quiet", names=("bomb.png",))


def test_damaged_videos_are_rejected_or_give_whole_images(tmp_path: Path) -> None:
    path, faults = tmp_path / "left.mp4", []
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (64, 48))
    for k in range(10):
        writer.write(np.full((48, 64, 3), 20 * k, np.uint8))
    writer.release()
    assert len(list(read_video(path))) == 10
    for what, data in spoilt_bytes(path.read_bytes(), 3, 25):
        path.write_bytes(data)
        with case(faults, what):
            found, message = refusal(lambda: list(read_video(path)))
            if message:
                check_message(message, path.name)
            else:
                assert {image.shape[2] for image in found} == {3}
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_damaged_recordings_are_rejected_or_give_messages(storage: str, tmp_path: Path) -> None:
    folder, faults = small_bag(tmp_path / "take", range(2), storage=storage), []
    index = folder / "metadata.yaml"
    (data_file,) = (file for file in folder.iterdir() if file != index)

    def messages() -> list[int]:
        bag = open_bag(folder)
        return [header_stamp_ns(bytes(raw)) for _, _, raw in bag.messages(bag.image_topics())]

    assert len(messages()) == 4
    for file, count in ((data_file, 25), (index, 25)):
        whole = file.read_bytes()
        cases = spoilt_bytes(whole, count, count)
        if file == index:
            cases += spoilt_texts(whole.decode())
        for what, data in cases:
            file.write_bytes(data)
            with case(faults, f"{file.name}: {what}"):
                _, message = refusal(messages)
                if message:
                    check_message(message, "take", file.name, "message")
        file.write_bytes(whole)
    assert not faults, "\n".join(faults)


def test_damaged_networks_and_checkpoints_are_rejected_or_whole(tmp_path: Path) -> None:
    network, checkpoint, faults = tmp_path / "own.safetensors", tmp_path / "last.ckpt", []
    net = build(POSERN)
    trained.save(network, net, POSERN)
    torch.save({"recipe": POSERN, "net": net.state_dict(), "epoch": 1, "loss": [1.0], "score": []}, checkpoint)
    assert read_checkpoint(checkpoint)["epoch"] == 1
    trained.load(network)
    for path, read in ((network, trained.load), (checkpoint, read_checkpoint)):
        for what, data in spoilt_bytes(path.read_bytes(), 4, 20):
            path.write_bytes(data)
            with case(faults, f"{path.name}: {what}"):
                _, message = refusal(lambda read=read, path=path: read(path))  # type: ignore[misc]
                if message:
                    check_message(message, path.name, "recipe", "network")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("content", [{"recipe": 1}, {"net": {}}, [1, 2], {"recipe": {}, "net": 0, "epoch": "x"}])
def test_checkpoints_of_other_values_are_rejected(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "best.ckpt")
    _, message = refusal(lambda: read_checkpoint(tmp_path / "best.ckpt"))
    check_message(message, "best.ckpt")


def test_estimate_refuses_spoilt_inputs(tmp_path: Path) -> None:
    save_rig(rig(), tmp_path / "rig.yaml")
    write_json(tmp_path / "left.json", coco_results(rig().cameras[0]))
    write_json(tmp_path / "right.json", [{"image_id": 0, "keypoints": None}])
    inputs = [f"--keypoints={name}={tmp_path / name}.json" for name in ("left", "right")]
    whole = ("estimate", "--rig", tmp_path / "rig.yaml", *inputs, "--fps", "30", "--output", tmp_path / "o")
    check_refused(*whole, names=("right.json",))
    write_json(tmp_path / "right.json", coco_results(rig().cameras[1]))
    code, out, err = run(*whole, "--no-overlay", "--param", "refine:=none")
    assert code in (0, 1), (out, err)
    check_refused(*whole, "--reference", tmp_path / "rig.yaml", names=("rig.yaml",))
