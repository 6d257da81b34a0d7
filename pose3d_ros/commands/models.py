"""pose3d models: list, fetch, verify and locate the weights of the 2D models and of the shipped networks."""

from __future__ import annotations

import argparse
from pathlib import Path

from pose3d_ros.errors import InputError, WeightsCorruptError, WeightsError, WeightsMissingError
from pose3d_ros.weights import store, trained
from pose3d_ros.weights.table import MODELS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions list, fetch, verify and path, each for all models or the named ones."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    described = {
        "list": "list the models: purpose, author, licence, whether the weights are present",
        "fetch": "download missing or damaged weights once (144 MB) into the cache",
        "verify": "check the files against their published SHA-256",
        "path": "print the paths of the files",
    }
    for action, text in described.items():
        subparser = actions.add_parser(action, help=text, description=text)
        subparser.add_argument("names", nargs="*", metavar="NAME", help=f"models (default: all): {', '.join(_names())}")
        if action == "fetch":
            subparser.add_argument("--archive", type=Path, help="the package's tarball, if already downloaded")
            subparser.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: argparse.Namespace) -> int:
    """Return 0, or 1 when verify finds weights missing or damaged; raises pose3d_ros.errors."""
    names = tuple(args.names) or _names()
    for name in names:
        if name not in _names():  # checked before anything is fetched
            raise InputError(f"unknown model {name!r}: use one of {', '.join(_names())}")
    if args.action == "list":
        _list(names)
    elif args.action == "verify":
        return _verify(names)
    else:
        for name in names:
            if args.action == "path":
                print(_path(name))
            elif name in store.names():
                print(f"{name}: {store.fetch(name, progress=not args.quiet, archive=args.archive)}")
            elif args.names:
                print(f"{name}: {_path(name)}")  # shipped with the package
    return 0


def _names() -> tuple[str, ...]:
    return store.names() + trained.names()


def _path(name: str) -> Path:
    """Return the path of the file after verifying it."""
    return store.path(name) if name in store.names() else trained.path(name)


def _list(names: tuple[str, ...]) -> None:
    for model in MODELS:
        if model.name in names:
            size = sum(file.size for file in model.files) / 1e6
            print(f"{model.name} ({size:.1f} MB, {_state(model.name)})")
            print(f"  {model.purpose}; {model.measured}")
            print(f"  {model.author}, {model.licence}, {model.source}")
            print(f"  from npm {model.package.name} {model.package.version}")
    for row in trained.TRAINED:
        if row.name in names:
            print(f"{row.name} ({row.size / 1e6:.1f} MB, {_state(row.name)})")
            print(f"  network {row.network}; {row.measured}")
            print(f"  keypoints of {row.detector or 'any detector'}, {row.skeleton}; trained on rigs {row.rigs}")
            print(f"  {row.licence}; {row.data}")


def _state(name: str) -> str:
    """Return whether the weights are present."""
    shipped = name in trained.names()
    try:
        _path(name)
    except WeightsMissingError:
        return f"missing: {trained.REINSTALL}" if shipped else "not fetched"
    except WeightsCorruptError:
        return f"damaged: {trained.REINSTALL if shipped else 'run `pose3d models fetch`'}"
    return "shipped" if shipped else "present"


def _verify(names: tuple[str, ...]) -> int:
    bad = 0
    for name in names:
        try:
            _path(name)
            print(f"{name}: ok")
        except WeightsError as error:
            bad += 1
            print(f"{name}: {error}")
    return 1 if bad else 0
