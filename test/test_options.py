from dataclasses import dataclass

import pytest

from pose3d_ros.errors import OptionError
from pose3d_ros.options import check, describe, from_mapping, option


@dataclass(frozen=True)
class Example:
    threshold: float = option(0.3, "Least score.", low=0, high=1)
    cameras: tuple[str, ...] = option(("left", "right"), "Names.")
    mode: str = option("auto", "How.", choices=("auto", "file"))
    count: int = option(2, "How many.", low=1, high=9, unit="people")
    on: bool = option(True, "Whether.")

    def __post_init__(self) -> None:
        check(self)


def test_values_are_taken_and_lists_become_tuples():
    options = from_mapping(Example, {"threshold": 0.5, "cameras": ["a", "b", "c"]})
    assert (options.threshold, options.cameras, options.mode) == (0.5, ("a", "b", "c"), "auto")


def test_an_unknown_option_is_refused_with_the_nearest_known_one():
    with pytest.raises(OptionError, match="unknown option 'treshold': did you mean 'threshold'"):
        from_mapping(Example, {"treshold": 0.5})
    with pytest.raises(OptionError, match="known are cameras, count, mode, on, threshold"):
        from_mapping(Example, {"zzz": 0})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"threshold": 1.5}, "'threshold' is 1.5, expected 0 to 1"),
        ({"threshold": float("nan")}, "'threshold' is nan"),
        ({"threshold": "high"}, "'threshold' is 'high', expected float"),
        ({"count": 0}, "'count' is 0, expected 1 to 9 people"),
        ({"count": True}, "'count' is True, expected int"),
        ({"mode": "tf"}, "expected one of auto, file"),
        ({"on": 1}, "expected bool"),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_expected(values, message):
    with pytest.raises(OptionError, match=message):
        from_mapping(Example, values)


def test_a_whole_number_is_a_float_too():
    assert from_mapping(Example, {"threshold": 1}).threshold == 1


def test_options_describe_themselves_for_help_and_documentation():
    rows = {name: rest for name, *rest in describe(Example)}
    assert rows["threshold"] == ["0.3", "0 to 1", "Least score."]
    assert rows["count"] == ["2", "1 to 9 people", "How many."]
    assert rows["cameras"][0] == "[left, right]"
    assert rows["mode"][1] == "auto | file"
    assert rows["on"][0] == "true"
