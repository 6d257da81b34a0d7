"""What the documentation says of parameters, commands and examples is what the code does.

`python test/test_docs.py` prints the parameter tables of docs/ros_interface.md.
"""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from pose3d_ros.cli import build_parser
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.options import describe, from_mapping
from pose3d_ros.ros.options import (
    DetectorNodeOptions,
    InputOptions,
    LifecycleOptions,
    MonocularNodeOptions,
    OutputOptions,
    PoseNodeOptions,
    SyncOptions,
)

CHECKOUT = Path(__file__).resolve().parents[1]
HEADINGS = {
    "State": LifecycleOptions,
    "Cameras and placement": PoseNodeOptions,
    "Frame sets of several cameras": SyncOptions,
    "Inputs": InputOptions,
    "Outputs": OutputOptions,
    "Detection": DetectorOptions,
    "Estimation": EstimatorOptions,
    "Cameras of this machine": DetectorNodeOptions,
}


def table(kind: type) -> str:
    rows = ["| parameter | default | range, unit | meaning |", "|---|---|---|---|"]
    for name, *cells in describe(kind):
        rows.append(" | ".join([f"| `{name}`", *(cell.replace("|", "\\|") for cell in cells)]) + " |")
    return "\n".join(rows)


def test_the_documentation_lists_every_parameter_as_it_is():
    text = (CHECKOUT / "docs" / "ros_interface.md").read_text(encoding="utf-8")
    for heading, kind in HEADINGS.items():
        assert f"#### {heading}\n{table(kind)}\n" in text, (
            f"run `python test/test_docs.py` and paste its tables: {heading}"
        )


NODES = {
    "stereo.yaml": (PoseNodeOptions, SyncOptions, InputOptions, OutputOptions, DetectorOptions, EstimatorOptions),
    "demo.yaml": (PoseNodeOptions, SyncOptions, InputOptions, OutputOptions, DetectorOptions, EstimatorOptions),
    "mono.yaml": (MonocularNodeOptions, InputOptions, OutputOptions, DetectorOptions, EstimatorOptions),
}


@pytest.mark.parametrize("file", NODES)
def test_the_parameter_files_set_what_the_nodes_take(file):
    """Also in the lines that a user may take the # from."""
    text = (CHECKOUT / "config" / file).read_text(encoding="utf-8")
    given = yaml.safe_load(re.sub(r"^    # (?=\w+: )", "    ", text, flags=re.MULTILINE))["/**"]["ros__parameters"]
    for kind in NODES[file]:
        own = {name: given.pop(name) for name in [one.name for one in fields(kind)] if name in given}
        from_mapping(kind, own)
    assert given == {}


def test_the_readme_names_commands_and_options_that_exist():
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"bootstrap\.py demo([^\n#`]*)", text)
    assert len(lines) >= 4
    for arguments in lines:
        build_parser().parse_args(["demo", *arguments.split()])


def test_the_readme_fits_on_a_few_screens():
    assert len((CHECKOUT / "README.md").read_text(encoding="utf-8").splitlines()) <= 110


@pytest.mark.parametrize(
    ("page", "commands"),
    [
        ("monocular.md", 3),
        ("detectors.md", 1),
        ("estimate.md", 4),
        ("staleness.md", 3),
        ("calibration.md", 12),
        ("two_phones.md", 4),
        ("rendering.md", 8),
        ("datasets.md", 5),
    ],
)
def test_a_page_names_commands_and_options_that_exist(page, commands):
    text = (CHECKOUT / "docs" / page).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"^pose3d ([^\n#]*)", text, re.MULTILINE)
    assert len(lines) >= commands
    for arguments in lines:
        build_parser().parse_args(arguments.split())


PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
PAGES += [f"docs/{path.name}" for path in sorted(CHECKOUT.glob("docs/*.md"))]


@pytest.mark.parametrize("page", PAGES)
def test_links_within_the_documentation_lead_somewhere(page):
    path = CHECKOUT / page
    for target in re.findall(r"\]\((?!http|#)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_the_table_of_faults_is_what_the_fault_tests_say():
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "scripts" / "reliability.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    for heading, kind in HEADINGS.items():
        print(f"#### {heading}\n{table(kind)}\n")
