"""Tables as text and as JSON."""

import json

import pytest

from pose3d_ros.errors import InputError
from pose3d_ros.evaluation.tables import EvaluationRequest, Table, as_json, printed

TABLE = Table("size", "how large", ("row", "mm", "n"), [("one", 1.25, 3), ("two", float("nan"), None)], note="A note.")


def test_table_is_markdown_with_a_dash_for_unknown_values():
    lines = printed(TABLE).splitlines()
    assert lines[0] == "### size: how large"
    assert lines[2:6] == [
        "| row |  mm | n |",
        "|-----|----:|--:|",
        "| one | 1.2 | 3 |",
        "| two |   - | - |",
    ]
    assert lines[-1] == "A note."


def test_json_holds_every_number_in_full_and_no_nan():
    content = json.loads(json.dumps(as_json(TABLE), allow_nan=False))
    assert content["rows"] == [{"row": "one", "mm": 1.25, "n": 3}, {"row": "two", "mm": None, "n": None}]


def test_row_of_wrong_length_is_an_assertion_error():
    with pytest.raises(AssertionError, match="does not fit"):
        Table("t", "", ("a", "b"), [("x",)])


def test_tables_are_selected_by_name_and_unknown_ones_rejected(tmp_path):
    request = EvaluationRequest(motion=None, data=tmp_path, only=("b",))
    assert request.chosen(("a", "b")) == ("b",)
    assert EvaluationRequest(motion=None, data=tmp_path).chosen(("a", "b")) == ("a", "b")
    with pytest.raises(InputError, match=r"no table b: use a, c"):
        request.chosen(("a", "c"))


def test_without_runs_no_row_is_trained(tmp_path):
    assert EvaluationRequest(motion=None, data=tmp_path).checkpoint("row", "cvugcn") is None
