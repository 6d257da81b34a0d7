"""The build files agree with each other and with the tree; a wheel holds what a prefix needs."""

import ast
import re
import sys
import xml.etree.ElementTree as ElementTree
from importlib.metadata import PackageNotFoundError, files, requires, version
from pathlib import Path

import pytest

import pose3d_ros
from pose3d_ros.errors import DependencyError
from pose3d_ros.ros import environment

ROOT = Path(__file__).resolve().parents[1]
MESSAGES = sorted(path.name for path in (ROOT / "msg").glob("*.msg"))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def literal(source: str, name: str) -> list[str]:
    """The list of strings that a module assigns to `name`."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return list(ast.literal_eval(node.value))
    raise AssertionError(f"{name} is not assigned")


def project_name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found
    return found.group().lower().replace("_", "-")


@pytest.fixture
def package_xml() -> ElementTree.Element:
    return ElementTree.fromstring(read("package.xml"))


def test_every_file_names_the_same_version(package_xml: ElementTree.Element) -> None:
    assert package_xml.findtext("version") == pose3d_ros.__version__


def test_cmake_compiles_every_message() -> None:
    assert sorted(re.findall(r"msg/(\w+\.msg)", read("CMakeLists.txt"))) == MESSAGES


def test_cmake_finds_every_package_the_messages_use(package_xml: ElementTree.Element) -> None:
    used = {
        package
        for name in MESSAGES
        for package in re.findall(r"^(\w+)/\w+", read(f"msg/{name}"), re.MULTILINE)
    }  # fmt: skip
    text = read("CMakeLists.txt")
    declared = {element.text for element in package_xml.findall("depend")}
    assert used == {"builtin_interfaces", "geometry_msgs", "std_msgs"} & declared
    assert all(f"find_package({package} REQUIRED)" in text for package in used)


def test_every_node_script_that_cmake_installs_is_a_module() -> None:
    nodes = re.search(r"foreach\(node IN ITEMS ([\w ]+)\)", read("CMakeLists.txt"))
    assert nodes
    files = {path.stem for path in (ROOT / "pose3d_ros" / "ros").rglob("*.py")}
    assert set(nodes.group(1).split()) <= files


def test_package_xml_names_every_ros_package_that_is_imported(package_xml: ElementTree.Element) -> None:
    declared = {element.text for tag in ("depend", "exec_depend") for element in package_xml.findall(tag)}
    ros = {"cv_bridge", "launch", "launch_ros", "message_filters", "rclpy", "rcl_interfaces", "tf2_ros"}
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).partition(".")[0]
        for folder in ("pose3d_ros", "launch", "examples")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module)
    }
    optional = {"hri_msgs"}  # rep155 alone, which says so where they are not installed
    needed = {name for name in imported if name in ros or name.endswith("_msgs")} - optional
    assert needed <= declared


def test_constraints_pin_every_direct_dependency() -> None:
    pinned = {project_name(line) for line in read("constraints.txt").splitlines() if "==" in line}
    setup = read("setup.py")
    extras = re.search(r"\[project\.optional-dependencies\]\n(.*?)\n\n", read("pyproject.toml"), re.DOTALL)
    assert extras
    direct = literal(setup, "CORE") + literal(setup, "WHEELS") + re.findall(r'"([^"]+)"', extras.group(1))
    assert {project_name(requirement) for requirement in direct} <= pinned


def test_fastdds_profile_holds_images_of_full_hd() -> None:
    names = {"dds": "http://www.eprosima.com"}
    profile = ElementTree.fromstring(read("config/fastdds.xml"))
    shared = profile.find(".//dds:transport_descriptor[dds:type='SHM']", names)
    assert shared is not None
    # Measured: with these sizes four 1088x1920 cameras at 30 Hz lose nothing, with the defaults most.
    assert shared.findtext("dds:segment_size", namespaces=names) == "33554432"
    assert shared.findtext("dds:maxMessageSize", namespaces=names) == "8388608"
    known = {element.text for element in profile.findall(".//dds:transport_descriptor/dds:transport_id", names)}
    used = {element.text for element in profile.findall(".//dds:userTransports/dds:transport_id", names)}
    assert used == known


def test_environment_fills_in_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    (index / "rclpy").touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    environ: dict[str, str] = {}
    environment.prepare(environ)
    assert environ["AMENT_PREFIX_PATH"] == str(tmp_path)
    assert Path(environ["FASTDDS_DEFAULT_PROFILES_FILE"]).name == "fastdds.xml"
    assert Path(environ["FASTDDS_DEFAULT_PROFILES_FILE"]).is_file()


def test_environment_keeps_a_workspace_in_front_of_the_wheels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    (index / "rclpy").touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    environ = {"AMENT_PREFIX_PATH": "/somewhere/install"}
    environment.prepare(environ)
    assert environ["AMENT_PREFIX_PATH"] == f"/somewhere/install:{tmp_path}"


def test_environment_keeps_what_the_user_has_set(tmp_path: Path) -> None:
    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    (index / "rclpy").touch()
    mine = {
        "AMENT_PREFIX_PATH": str(tmp_path),
        "FASTRTPS_DEFAULT_PROFILES_FILE": "mine.xml",
        "OMP_WAIT_POLICY": "ACTIVE",
    }
    environ = dict(mine)
    environment.prepare(environ)
    assert environ == mine


@pytest.mark.parametrize(("absent", "fix"), [("rclpy", "source a ROS 2 installation"), ("pose3d_ros.msg", "colcon")])
def test_missing_ros_is_reported_with_the_fix(monkeypatch: pytest.MonkeyPatch, absent: str, fix: str) -> None:
    monkeypatch.setattr(environment, "find_spec", lambda name: None if name == absent else object())
    with pytest.raises(DependencyError, match=fix):
        environment.require_ros()


def test_the_installed_wheel_is_a_prefix() -> None:
    try:
        installed = [str(Path(str(path.locate())).resolve()) for path in files("pose3d_ros") or ()]
    except PackageNotFoundError:
        pytest.skip("pose3d_ros is not installed by pip here")
    if not any(name.endswith("pose3d_ros/msg/__init__.py") for name in installed):
        pytest.skip("this platform has no ROS wheels: the core was installed without messages")
    assert version("pose3d_ros") == pose3d_ros.__version__
    assert any(requirement.startswith("torch") for requirement in requires("pose3d_ros") or ())
    modules = (path for path in (ROOT / "pose3d_ros").rglob("*.py") if path.parent.name != "msg")
    expected = [
        *(f"site-packages/{path.relative_to(ROOT)}" for path in modules),
        "site-packages/pose3d_ros/py.typed",
        "site-packages/pose3d_ros/evaluation/people.json",
        "site-packages/pose3d_ros/pose3d_ros_s__rosidl_typesupport_fastrtps_c.so",
        "lib/libpose3d_ros__rosidl_typesupport_fastrtps_c.so",
        "lib/pose3d_ros/multiview_node",
        "lib/pose3d_ros/monocular_node",
        "lib/pose3d_ros/detector_node",
        "share/ament_index/resource_index/packages/pose3d_ros",
        "share/pose3d_ros/package.xml",
        "share/pose3d_ros/config/fastdds.xml",
        *(f"share/pose3d_ros/msg/{name}" for name in MESSAGES),
        # What C++ is built with, see test_cpp.py.
        "share/pose3d_ros/cmake/pose3d_rosConfig.cmake",
        "share/pose3d_ros/cmake/prune_missing_includes.cmake",
        "include/pose3d_ros/pose3d_ros/msg/human_pose3_d_array.hpp",
        "include/pose3d_ros/pose3d_ros/msg/human_pose3_d_array.h",
        *(f"share/pose3d_ros/launch/{path.name}" for path in (ROOT / "launch").glob("*.py")),
    ]
    assert [end for end in expected if not any(name.endswith(f"/{end}") for name in installed)] == []
