"""Where two objects differ, through everything that they hold: nothing can be left out of the comparison by name."""

from __future__ import annotations

import functools
import types
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

# What has no state of its own: code, and networks, which are loaded again.
CODE = (type, types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial, torch.nn.Module)


def differences(a: Any, b: Any, path: str = "", met: set[tuple[int, int]] | None = None) -> Iterator[str]:
    """Paths at which b is not what a is: values, lengths, order and types, private attributes too."""
    met = set() if met is None else met
    if a is b or (id(a), id(b)) in met:
        return
    met.add((id(a), id(b)))
    if isinstance(a, CODE) and type(a) is type(b):
        return
    if type(a) is not type(b):
        yield f"{path}: {type(a).__name__} and {type(b).__name__}"
    elif isinstance(a, (np.ndarray, np.generic)):
        if a.dtype != b.dtype or a.shape != b.shape or a.tobytes() != b.tobytes():
            yield f"{path}: {a} and {b}"
    elif isinstance(a, torch.Tensor):
        yield from differences(a.numpy(), b.numpy(), path, met)
    elif isinstance(a, dict):
        if list(a) != list(b):
            yield f"{path}: keys {list(a)} and {list(b)}"
        for key in a.keys() & b.keys():
            yield from differences(a[key], b[key], f"{path}[{key!r}]", met)
    elif isinstance(a, (list, tuple, deque)):
        if len(a) != len(b) or getattr(a, "maxlen", None) != getattr(b, "maxlen", None):
            yield f"{path}: {len(a)} and {len(b)} items"
        for number, (one, other) in enumerate(zip(a, b, strict=False)):
            yield from differences(one, other, f"{path}[{number}]", met)
    elif hasattr(a, "__dict__"):
        yield from differences(vars(a), vars(b), f"{path}.{type(a).__name__}", met)
    elif a != b and not (a != a and b != b):  # NaN
        yield f"{path}: {a!r} and {b!r}"
