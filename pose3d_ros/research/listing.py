"""What `pose3d reproduce` can make, as tables."""

from __future__ import annotations

from pose3d_ros.errors import InputError, shown
from pose3d_ros.evaluation.tables import Table
from pose3d_ros.research.data_sets import DATA_SETS
from pose3d_ros.research.papers import TABLES


def paper_tables(paper: str = "") -> Table:
    """All papers' tables, or one paper's; raises InputError for an unknown one."""
    chosen = [one for one in TABLES if paper in ("", one.paper)]
    if not chosen:
        names = ", ".join(dict.fromkeys(one.paper for one in TABLES))
        raise InputError(f"there is no paper {shown(paper)}: use one of {names}")
    rows = [
        (one.paper, one.name, one.title, DATA_SETS[one.data].name, DATA_SETS[one.data].verified,
         ", ".join((*one.methods, "--predictions")))
        for one in chosen
    ]  # fmt: skip
    return Table(
        "reproduce", "papers' tables", ("paper", "table", "what", "data set", "verified", "made by"), rows,
        "pose3d reproduce PAPER TABLE --data DIR. Verified: whether the reader was tried on original files.",
    )  # fmt: skip


def data_sets() -> Table:
    """Every data set's forms and where it comes from."""
    rows = [(one.name, form, state, one.site) for one in DATA_SETS.values() for form, state in one.forms]
    return Table("data sets", "what is read", ("data set", "files", "tried", "where from"), rows)
