"""The imports run one way, and only pose3d_ros/ros knows ROS."""

import ast
import subprocess
import sys
from pathlib import Path

import pose3d_ros

PACKAGE = Path(pose3d_ros.__file__).parent

# Lowest first: a module may import from its own layer and from those above it in this list.
LAYERS = (
    {"errors"},
    {"structures", "options", "cache", "downloads"},
    {"skeletons"},
    {"geometry"},
    {"networks"},
    {"weights", "data"},
    {"detection", "calibration"},
    {"estimation"},
    {"training"},
    {"evaluation", "output"},
    {"ros"},
    {"estimate_input", "estimate_results"},
    {
        "demo",
        "doctor_command",
        "rig_command",
        "calibrate_command",
        "estimate_command",
        "models_command",
        "mono_command",
        "train_command",
        "fit_noise_command",
    },
    {"benchmarks"},
    {"evaluate_command", "bench_command"},
    {"cli"},
)
ROS_PACKAGES = {"rclpy", "sensor_msgs", "std_msgs", "geometry_msgs", "visualization_msgs", "diagnostic_msgs", "tf2_ros",
                "tf2_msgs", "message_filters", "cv_bridge", "launch", "launch_ros", "builtin_interfaces"}  # fmt: skip


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def sources() -> dict[str, Path]:
    files = (path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] != "msg")
    return {str(path.relative_to(PACKAGE)): path for path in files}


def is_module(part: str) -> bool:
    return (PACKAGE / part).is_dir() or (PACKAGE / f"{part}.py").exists()


def layer_of(part: str) -> int:
    for number, names in enumerate(LAYERS):
        if part in names:
            return number
    raise AssertionError(f"{part} has no place in LAYERS: give it one")


def test_every_import_points_to_a_lower_layer():
    wrong = []
    for name, path in sources().items():
        own = Path(name).parts[0].removesuffix(".py")
        if own in ("__init__", "__main__"):
            continue
        for imported in imports_of(path):
            parts = imported.split(".")
            if parts[0] == "pose3d_ros" and len(parts) > 1 and not parts[1].startswith("__"):
                target = parts[1]
                if target == "msg":
                    if own != "ros":
                        wrong.append(f"{name} imports the messages")
                elif is_module(target) and target != own and layer_of(target) >= layer_of(own):
                    wrong.append(f"{name} imports pose3d_ros.{target}")
    assert not wrong, "\n".join(wrong)


def test_only_the_ros_folder_imports_ros():
    wrong = [
        f"{name} imports {imported}"
        for name, path in sources().items()
        if Path(name).parts[0] != "ros"
        for imported in imports_of(path)
        if imported.split(".")[0] in ROS_PACKAGES
    ]
    assert not wrong, "\n".join(wrong)


def test_importing_the_core_loads_neither_ros_nor_torch_models():
    code = "import sys, pose3d_ros.structures, pose3d_ros.estimation.multiview; print('rclpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
