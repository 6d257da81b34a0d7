"""A node's parameters from a dataclass of options: names, descriptions, units, ranges and checks are its fields'."""

from __future__ import annotations

import difflib
import sys
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field, fields
from itertools import pairwise
from typing import Any, TypeVar, get_args, get_type_hints

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from pose3d_ros.errors import InputError, OptionError, shown
from pose3d_ros.files.documents import yaml_content
from pose3d_ros.files.door import PARAMETERS, read_text
from pose3d_ros.options import changed_fixed, from_mapping, info_of

Options = TypeVar("Options")
Type = Parameter.Type
Types = Mapping[str, Type]

SCALARS = {bool: Type.BOOL, int: Type.INTEGER, float: Type.DOUBLE, str: Type.STRING}
ARRAYS = {bool: Type.BOOL_ARRAY, int: Type.INTEGER_ARRAY, float: Type.DOUBLE_ARRAY, str: Type.STRING_ARRAY}
ELEMENTS = {array: element for element, array in ARRAYS.items()}
EXAMPLES = {bool: "[true, false]", int: "[1, 2]", float: "[0.5, 1.0]", str: "[left, right]"}

# What rclpy takes on its own, on some distributions only after the node was made.
OF_ROS = ("use_sim_time", "start_type_description_service")
PREFIX_OF_ROS = "qos_overrides."
# The section of a parameter file that speaks to every node.
EVERY_NODE = "/**"

# Stated in the descriptor of what is fixed. ROS's own read_only is not set: it refuses a change without saying why.
FIXED = "fixed while the node runs"
RESTART = "it is read when the node starts: restart the node with the new value"

_fitting: weakref.WeakSet[Node] = weakref.WeakSet()


def declare(
    node: Node,
    kind: type[Options],
    on_change: Callable[[Options], None] | None = None,
    fixed: Callable[[], str] = lambda: RESTART,
) -> Options:
    """Declare one parameter for every field of the dataclass kind; return its instance with the user's values.

    Values come from the command line, YAML and parameter_overrides. They are checked as kind checks them
    and raise OptionError. A whole number does for a fraction (`1` for `1.0`), an empty list for a list of
    any type. A change at run time is checked the same way, all parameters of a request together, and
    refused with the same message; on_change gets the new instance. What is read_only may change only while
    fixed gives no words; they say how to change it. Several dataclasses may be declared on one node; call
    refuse_unknown(node) after the last.
    """
    types = parameter_types(kind)
    given = {name: over.value for name, over in node._parameter_overrides.items() if name in types}
    options = from_mapping(kind, {name: fitted(name, value, types[name]) for name, value in given.items()})
    for one in fields(kind):  # type: ignore[arg-type]
        _declare_one(node, one, types[one.name], getattr(options, one.name))
    _fit_changes(node)
    _check_changes(node, kind, types, on_change, fixed)
    return options


def take_boolean_rectified(node: Node) -> None:
    """Let `-p rectified:=true`, which comes as a boolean, stand next to the word auto; call it before declare()."""
    rectified = node._parameter_overrides.get("rectified")
    if rectified is not None and isinstance(rectified.value, bool):
        node._parameter_overrides["rectified"] = Parameter("rectified", value=str(rectified.value).lower())


def current(node: Node, kind: type[Options]) -> Options:
    """The instance of kind that a node's declared parameters give now."""
    return from_mapping(kind, _values(node, kind))


def refuse_unknown(node: Node, arguments: Sequence[str] | None = None, *, others: Sequence[type[Any]] = ()) -> None:
    """Raise OptionError for a parameter given to the node that nothing declared, with the nearest known name.

    Call it when everything is declared. use_sim_time and ROS's other own parameters pass. So does, with a warning,
    what a parameter file gives to every node: see given_to_all. arguments are the command line, by default sys.argv.
    others are the options of a node that shares its parameter file with this one; they pass in silence.
    """
    known = set(node.list_parameters([], 0).names)
    of_others = {one.name for kind in others for one in fields(kind)}
    unknown = [
        name
        for name in node._parameter_overrides
        if name not in known | of_others and name not in OF_ROS and not name.startswith(PREFIX_OF_ROS)
    ]
    for_others = given_to_all(sys.argv if arguments is None else arguments)
    refused = [name for name in unknown if name not in for_others]
    if refused:
        raise OptionError(f"node {node.get_name()!r}: {'; '.join(_hint(name, sorted(known)) for name in refused)}")
    if unknown:
        node.get_logger().warning(f"parameters for every node (/**) that this one does not know: {', '.join(unknown)}")


def given_to_all(arguments: Sequence[str]) -> set[str]:
    """Names of the parameters that files of several nodes give to every node.

    A file with a section /** next to sections of named nodes is shared: what is under its /** need not be meant
    for us. In a file with /** alone, as config/stereo.yaml, it is.
    """
    names: set[str] = set()
    for flag, path in pairwise(arguments):
        if flag != "--params-file":
            continue
        # rcl has read the file before us; the base loader knows no types, so that no tag can trouble it.
        sections = yaml_content(read_text(path, PARAMETERS), path, PARAMETERS, plain=True)
        if isinstance(sections, dict) and len(sections) > 1 and isinstance(sections.get(EVERY_NODE), dict):
            names.update(sections[EVERY_NODE].get("ros__parameters") or ())
    return names


def parameter_types(kind: type[Any]) -> Types:
    """Field name -> parameter type; a tuple's is that of its elements, by its annotation."""
    hints = get_type_hints(kind)
    types = {}
    for one in fields(kind):
        if type(one.default) is tuple:
            types[one.name] = ARRAYS[(*get_args(hints[one.name]), str)[0]]
        else:
            types[one.name] = SCALARS[type(one.default)]
    return types


def fitted(name: str, value: Any, kind: Type) -> Any:
    """A parameter's value as the dataclass wants it; raises OptionError for a list of the wrong elements.

    YAML types `1` as an integer and gives `[]` no type at all; both are clear, so they are taken.
    """
    if kind not in ELEMENTS:
        return float(value) if kind == Type.DOUBLE and type(value) is int else value
    element = ELEMENTS[kind]
    if value is None:
        return ()
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise OptionError(f"option {name!r} is {shown(value)}, expected a list such as {EXAMPLES[element]}")
    items = tuple(float(item) if element is float and type(item) is int else item for item in value)
    wrong = [item for item in items if type(item) is not element]
    if wrong:
        raise OptionError(
            f"option {name!r} has the element {shown(wrong[0])}, expected each to be {element.__name__}, "
            f"such as {EXAMPLES[element]}"
        )
    return items


def descriptor(one: Field[Any], kind: Type) -> ParameterDescriptor:
    """What `ros2 param describe` says of a field."""
    info = info_of(one)
    msg = ParameterDescriptor(name=one.name, type=kind.value)
    msg.description = f"{info.description} [{info.unit}]" if info.unit else info.description
    constraints = [FIXED] if info.read_only else []
    low, high = info.low, info.high
    if low is not None and high is not None and kind == Type.DOUBLE:
        msg.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    elif low is not None and high is not None and kind == Type.INTEGER:
        msg.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
    elif info.choices:
        constraints.append(f"one of {', '.join(info.choices)}")
    elif low is not None or high is not None:
        # ROS's ranges have two ends; an open one would make sliders of no use.
        constraints.append(f"at least {low:g}" if low is not None else f"at most {high:g}")
    msg.additional_constraints = "; ".join(constraints)
    return msg


def _declare_one(node: Node, one: Field[Any], kind: Type, value: Any) -> None:
    """Declare a field with a value that the dataclass has accepted."""
    described = descriptor(one, kind)
    if value == ():
        # rclpy takes an empty list for bytes; declared by type and set, it keeps its own.
        node.declare_parameter(one.name, kind, described, ignore_override=True)
        result = node.set_parameters_atomically([Parameter(one.name, kind, [])])
        assert result.successful, result.reason
    else:
        plain = list(value) if isinstance(value, tuple) else float(value) if kind == Type.DOUBLE else value
        node.declare_parameter(one.name, plain, described, ignore_override=True)


def _values(node: Node, kind: type[Any]) -> dict[str, Any]:
    """Field name -> value of a node's declared parameters."""
    types = parameter_types(kind)
    return {name: fitted(name, node.get_parameter(name).value, one) for name, one in types.items()}


def _fit_changes(node: Node) -> None:
    """Give changes at run time their declared types; once a node, for rclpy sets what every such callback returns."""
    if node in _fitting:
        return
    _fitting.add(node)

    def fit(parameters: Sequence[Parameter[Any]]) -> list[Parameter[Any]]:
        return [
            _typed(one, Type(node.describe_parameter(one.name).type)) if node.has_parameter(one.name) else one
            for one in parameters
        ]

    node.add_pre_set_parameters_callback(fit)


def _check_changes(
    node: Node,
    kind: type[Options],
    types: Types,
    on_change: Callable[[Options], None] | None,
    fixed: Callable[[], str],
) -> None:
    """Let the dataclass accept or refuse changes at run time."""

    def check(parameters: Sequence[Parameter[Any]]) -> SetParametersResult:
        try:
            changes = {
                one.name: fitted(one.name, one.value, types[one.name]) for one in parameters if one.name in types
            }
            after = from_mapping(kind, {**_values(node, kind), **changes})
        except InputError as error:
            return SetParametersResult(successful=False, reason=str(error))
        held = changed_fixed(current(node, kind), after) if changes else ()
        if held and (fix := fixed()):
            return SetParametersResult(successful=False, reason=f"parameter {held[0]!r} cannot change now: {fix}")
        return SetParametersResult(successful=True)

    def report(parameters: Sequence[Parameter[Any]]) -> None:
        if on_change is not None and any(one.name in types for one in parameters):
            on_change(current(node, kind))

    node.add_on_set_parameters_callback(check)
    node.add_post_set_parameters_callback(report)


def _typed(parameter: Parameter[Any], kind: Type) -> Parameter[Any]:
    """The parameter with the declared type where its value allows that; as it is where not, for check to refuse."""
    try:
        value = fitted(parameter.name, parameter.value, kind)
        return Parameter(parameter.name, kind, list(value) if isinstance(value, tuple) else value)
    except (OptionError, ValueError):
        return parameter


def _hint(name: str, known: Sequence[str]) -> str:
    """What to say of an unknown parameter."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"unknown parameter {name!r}: did you mean {near[0]!r}?"
    return (
        f"unknown parameter {name!r}: known are {', '.join(known)}; what is meant for another node belongs under that "
        "node's name in the parameter file"
    )
