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
    {"files"},
    {"cache"},
    {"arguments"},
    {"structures", "options", "downloads", "state"},
    {"kernels"},
    {"skeletons"},
    {"geometry"},
    {"networks"},
    {"weights", "mocap", "rigs"},
    {"synchronisation"},
    {"recordings"},
    {"simulation", "monitoring", "detection"},
    {"estimation"},
    {"calibration"},
    {"training"},
    {"evaluation", "plots"},
    {"ros"},
    {"research"},  # above ros, so that no node can import it
    {"commands"},
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


def test_no_file_imports_another_in_a_circle():
    """An import inside a function counts too; one inside `if TYPE_CHECKING` as well."""
    files = {
        "pose3d_ros." + name.removesuffix(".py").replace("/", "."): imports_of(path) for name, path in sources().items()
    }
    files = {name.removesuffix(".__init__"): imported for name, imported in files.items()}
    graph = {name: {one for one in imported if one in files and one != name} for name, imported in files.items()}
    for _ in range(len(graph)):
        free = [name for name, imported in graph.items() if not imported & graph.keys()]
        graph = {name: imported for name, imported in graph.items() if name not in free}
    in_circles = {name for name in graph if any(name in imported for imported in graph.values())}
    assert not in_circles, in_circles


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
    code = "import sys, pose3d_ros.structures, pose3d_ros.estimation.estimator; print('rclpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_neither_the_nodes_nor_the_commands_load_the_surveys_systems():
    """They are for training and evaluation: only running their own commands imports them."""
    nodes = "pose3d_ros.ros.multiview_node, pose3d_ros.ros.monocular_node, pose3d_ros.ros.detector_node"
    modules = f"pose3d_ros.cli, pose3d_ros.estimation.estimator, pose3d_ros.detection.factory, {nodes}"
    code = f"import sys, {modules}; print([name for name in sys.modules if name.startswith('pose3d_ros.research')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# How a file is opened for reading, by the end of the call's name.
OPENERS = {"open", "read_text", "read_bytes", "load", "loads", "safe_load", "imread", "imdecode", "VideoCapture",
           "FileStorage", "safe_open", "InferenceSession", "fromfile", "genfromtxt", "loadtxt", "memmap", "fromstring",
           "parse", "Reader", "ZipFile", "tarfile"}  # fmt: skip
LIBRARIES = {"json", "yaml", "np", "numpy", "torch", "tomllib", "ElementTree", "cv2", "zipfile", "tarfile", "io", "os",
             "Path", "Image", "expat"}  # fmt: skip
# Modules outside of files/ that open one, or read a text of their own, and why no user's file goes past the door.
OPENS_ITSELF = {
    "cache.py": "the SHA-256 of what lies in the cache",
    "recordings/bag_recording.py": "rosbags' reader, after checked() of every file that it will open",
    "recordings/encoded_images.py": "messages, whose size is announced",
    "recordings/footage.py": "a wheel whose SHA-256 was compared",
    "recordings/footage_keypoints.py": "a wheel whose SHA-256 was compared",
    "recordings/recording_log.py": "its own file, to be written to the disk",
    "rigs/formats/opencv_storage.py": "a text that read_text read and check_yaml or check_xml looked at",
    "simulation/simulated_rigs.py": "a file of the package",
    "commands/demo.py": "the log of its own process",
    "detection/devices.py": "/proc/cpuinfo",
    "detection/fastest.py": "/proc/cpuinfo",
    "detection/graph.py": "weights whose SHA-256 was compared",
    "recordings/bag_damage.py": "a few bytes, after checked()",
    "detection/onnx_model.py": "ONNX Runtime, after checked()",
    "downloads.py": "the log of its own process",
    "commands/estimate.py": "its own settings as JSON",
    "evaluation/identity.py": "a file of the package",
    "estimation/checkpoint.py": "the bytes of read_bytes",
    "kernels/compiling.py": "files of the package",
    "recordings/writers/person_tracks.py": "its own temporary file",
    "ros/doctor/machine.py": "/proc and /etc",
    "ros/harness/processes.py": "the log of its own process",
    "research/detector_training.py": "torch.load of tensors, after checked_checkpoint()",
    "training/loop.py": "torch.load of tensors, after checked_checkpoint()",
    "weights/store.py": "an archive whose SHA-256 was compared",
    "weights/trained.py": "safetensors, after checked()",
}


def opens(call: ast.Call) -> bool:
    """Whether a call reads a file, by its name; one that says that it writes does not."""
    called = ast.unparse(call.func)
    owner, _, name = called.rpartition(".")
    if name not in OPENERS or (owner in ("", "ast") and name not in ("open", "safe_open", "Reader")):
        return False
    if name in ("load", "loads", "parse", "fromstring") and owner.rpartition(".")[2] not in LIBRARIES:
        return False
    words = [ast.unparse(one) for one in call.args] + [ast.unparse(one.value) for one in call.keywords]
    return not (name == "open" and any(word.strip("'\"") in ("w", "wb", "a", "ab", "x") for word in words))


def test_files_that_users_name_are_opened_at_one_door():
    """Who opens a file elsewhere says in OPENS_ITSELF why it can be no pipe, device, bomb or nest of a user's."""
    found = {}
    for name, path in sources().items():
        if Path(name).parts[0] != "files":
            calls = [
                node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
            ]
            found[name] = [f"{call.lineno}: {ast.unparse(call.func)}" for call in calls if opens(call)]
    wrong = {name: calls for name, calls in found.items() if calls and name not in OPENS_ITSELF}
    assert not wrong, wrong
    assert not set(OPENS_ITSELF) - {name for name, calls in found.items() if calls}
