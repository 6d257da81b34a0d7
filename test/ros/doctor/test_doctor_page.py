"""docs/doctor.md quotes the doctor; `python test/ros/doctor/test_doctor_page.py` writes its table."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from seeded_systems import HEALTHY, SEEDED

from pose3d_ros import cli
from pose3d_ros.ros.doctor import machine
from pose3d_ros.ros.doctor.checks import CHECKS, run_checks
from pose3d_ros.ros.doctor.report import SCHEMA, as_json

PAGE = Path(__file__).resolve().parents[3] / "docs" / "doctor.md"


def table() -> str:
    """Name, report of the seeded system, and fix."""
    rows = ["| name | fault | example report | fix |", "|---|---|---|---|"]
    for name, check in CHECKS.items():
        finding = next(finding for found, finding in run_checks(SEEDED[name][0]) if found == name)
        what = (check.__doc__ or "").split("\n")[0].rstrip(".")
        cells = (f"`{name}`", what, f"{finding.subject}: {finding.message}", finding.fix)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def test_page_lists_every_fault_with_its_report_and_fix() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"\n{table()}\n" in text, "run `python test/ros/doctor/test_doctor_page.py`"


def test_page_describes_every_key_of_the_json_file() -> None:
    text = PAGE.read_text(encoding="utf-8")
    described = set(re.findall(r"^\| `([a-z_.\[\]]+)` \|", text, re.MULTILINE))
    report = as_json(HEALTHY, run_checks(SEEDED["no_person"][0]), "0.1.0")
    keys = set(report) | {f"nodes[].{key}" for key in report["nodes"][0]}
    keys |= {f"findings[].{key}" for key in report["findings"][0]}
    assert keys <= described
    assert f"`schema` | {SCHEMA}" in text


def test_links_of_the_page_exist() -> None:
    for target in re.findall(r"\]\((?!http|#)([^)#]+)", PAGE.read_text(encoding="utf-8")):
        assert (PAGE.parent / target).exists(), target


def test_commands_of_the_page_parse() -> None:
    lines = re.findall(r"^pose3d ([^\n#]*)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) >= 3
    for arguments in lines:
        cli.build_parser().parse_args(arguments.split())


@pytest.mark.parametrize("arguments", [["--seconds", "0"], ["--seconds", "soon"], ["--namespace", "/a b"]])
def test_wrong_usage_exits_with_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["doctor", *arguments])
    assert ended.value.code == 2
    assert "pose3d doctor: error: argument" in capsys.readouterr().err


def test_missing_ros_is_reported_with_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pose3d_ros.ros import environment

    real = environment.find_spec
    monkeypatch.setattr(environment, "find_spec", lambda name: None if name == "rclpy" else real(name))
    assert cli.main(["doctor", "--namespace", "robot1/", "--json", str(tmp_path / "doctor.json")]) == 1
    printed_report = " ".join(capsys.readouterr().out.split())
    assert "this machine [ros_missing] rclpy is not installed for" in printed_report
    assert "source a ROS 2 installation" in printed_report
    report = json.loads((tmp_path / "doctor.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in report["findings"]] == ["ros_missing"]
    assert report["namespace"] == "/robot1"
    assert report["healthy"] is False


def test_gpus_are_those_of_the_kernel_driver(tmp_path: Path) -> None:
    for number, model in enumerate(("NVIDIA A2", "NVIDIA RTX 4090")):
        folder = tmp_path / f"0000:0{number}:00.0"
        folder.mkdir()
        (folder / "information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 11\n")
    assert machine.gpus(tmp_path) == ("NVIDIA A2", "NVIDIA RTX 4090")
    assert machine.gpus(tmp_path / "none") == ()


def test_profile_is_read_from_the_environment_of_the_process_of_an_endpoint(tmp_path: Path) -> None:
    """Only for Fast DDS processes on this machine whose id matches the GID."""
    own = [1, 15, 7, 8, 9, 9] + [0] * 10

    def process(number: int, environ: bytes, maps: bytes = b"/lib/libfastdds.so.3.2\n") -> list[int]:
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "environ").write_bytes(environ)
        (folder / "maps").write_bytes(maps)
        return [1, 15, 7, 8, number & 0xFF, number >> 8 & 0xFF] + [0] * 10

    without = process(0x10A40, b"PATH=/bin\0FASTDDS_DEFAULT_PROFILES_FILE=\0")
    with_one = process(0xA41, b"PATH=/bin\0FASTRTPS_DEFAULT_PROFILES_FILE=/p.xml\0")
    other = process(0xA42, b"PATH=/bin\0", maps=b"/lib/libc.so\n")
    assert machine.has_profiles(without, own, tmp_path) is False
    assert machine.has_profiles(with_one, own, tmp_path) is True
    assert machine.has_profiles(other, own, tmp_path) is None
    assert machine.has_profiles([1, 15, 7, 99, *without[4:]], own, tmp_path) is None
    process(0x20A41, b"PATH=/bin\0")
    assert machine.has_profiles(with_one, own, tmp_path) is None


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    start, end = page.index("| name | fault |"), page.index("\n\n", page.index("| name | fault |"))
    PAGE.write_text(page[:start] + table() + page[end:], encoding="utf-8")
