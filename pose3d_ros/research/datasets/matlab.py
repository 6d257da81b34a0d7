"""MATLAB's files of versions 5 to 7, read with every length checked before it is used.

"MAT-File Level 5 File Format" (The MathWorks). SciPy's loadmat reads them too, but a damaged file can end the process:
found by flipping bytes of small files. Numbers come as arrays of their class, cells as object arrays, structs as object
arrays of dicts, text as str. Objects, sparse matrices and functions are rejected where they are asked for.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import Any, NamedTuple

import numpy as np

HEADER, TAG = 128, 8
MATRIX, COMPRESSED = 14, 15
# Types of stored numbers; those of texts hold one unit a character.
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
CELL, STRUCT, CHAR = 1, 2, 4
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
# What one file may hold, unpacked: MPI-INF-3DHP's annot.mat have 300 MB in memory.
MOST_BYTES = 2_000_000_000
DEEPEST = 16


class _Element(NamedTuple):
    kind: int
    data: memoryview
    end: int  # where the next one begins


def variables(raw: bytes, names: tuple[str, ...]) -> dict[str, Any]:
    """Those of the named variables that a file's bytes hold; raises ValueError for a damaged or another file."""
    if len(raw) < HEADER or raw[126:128] not in (b"IM", b"MI"):
        raise ValueError("it is no MATLAB file of version 5 to 7 (7.3 is HDF5)")
    order = "<" if raw[126:128] == b"IM" else ">"
    whole, found, place, left = memoryview(raw), {}, HEADER, MOST_BYTES
    while place + TAG <= len(raw):
        element = _element(whole, place, order)
        place = element.end
        if element.kind == COMPRESSED:
            unpacked = zlib.decompressobj().decompress(element.data, left)
            left -= len(unpacked)
            if left <= 0:
                raise ValueError(f"it unpacks to more than {MOST_BYTES // 10**6} MB")
            element = _element(memoryview(unpacked), 0, order)
        if element.kind != MATRIX:
            raise ValueError(f"an element has type {element.kind}, expected a matrix")
        name = _parts(element.data, order, 3)[2].data if len(element.data) else memoryview(b"")
        if (text := bytes(name).decode("latin-1")) in names:
            found[text] = _matrix(element.data, order, 0)
    return found


def _matrix(data: memoryview, order: str, depth: int) -> Any:
    """What one matrix holds."""
    if not len(data):
        return np.zeros((0, 0))
    if depth > DEEPEST:
        raise ValueError(f"its cells nest more than {DEEPEST} deep")
    flags, sizes, _, *rest = _parts(data, order)
    if len(flags.data) != 8 or sizes.kind != 5:
        raise ValueError("a matrix has no flags and sizes")
    word = struct.unpack(f"{order}I", flags.data[:4])[0]
    kind, is_complex = word & 0xFF, bool(word & 0x800)
    shape = tuple(int(one) for one in np.frombuffer(sizes.data, f"{order}i4"))
    if not shape or min(shape) < 0 or math.prod(shape) > len(data):
        raise ValueError(f"a matrix of {len(data)} bytes says it is {shape}")
    if kind == CELL:
        return _shaped([_matrix(_checked(one), order, depth + 1) for one in rest], shape)
    if kind == STRUCT:
        return _structs(rest, shape, order, depth)
    if is_complex or len(rest) != 1 or kind not in (CHAR, *CLASSES):
        raise ValueError(f"a matrix has class {kind}{' and is complex' if is_complex else ''}, expected real numbers")
    if kind == CHAR:
        return _text(rest[0], order)
    if rest[0].kind not in STORED:
        raise ValueError(f"numbers are stored as type {rest[0].kind}")
    numbers = np.frombuffer(rest[0].data, order + STORED[rest[0].kind])
    return numbers.astype(CLASSES[kind]).reshape(shape, order="F")


def _structs(parts: list[_Element], shape: tuple[int, ...], order: str, depth: int) -> Any:
    """An object array of dicts."""
    if len(parts) < 2 or len(parts[0].data) != 4:
        raise ValueError("a struct has no names of fields")
    length = struct.unpack(f"{order}i", parts[0].data)[0]
    raw = bytes(parts[1].data)
    if length <= 0 or len(raw) % length:
        raise ValueError(f"a struct's names of {length} bytes do not fill {len(raw)}")
    names = [raw[at : at + length].split(b"\0")[0].decode("latin-1") for at in range(0, len(raw), length)]
    values = [_matrix(_checked(one), order, depth + 1) for one in parts[2:]]
    if len(values) != len(names) * math.prod(shape):
        raise ValueError(f"structs {shape} of {len(names)} fields have {len(values)} values")
    step = max(len(names), 1)
    return _shaped([dict(zip(names, values[at : at + step], strict=True)) for at in range(0, len(values), step)], shape)


def _shaped(values: list[Any], shape: tuple[int, ...]) -> Any:
    if len(values) != math.prod(shape):
        raise ValueError(f"cells {shape} hold {len(values)} values")
    made = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        made[place] = value
    return made.reshape(shape, order="F")


def _text(element: _Element, order: str) -> str:
    if element.kind not in TEXTS:
        raise ValueError(f"text is stored as type {element.kind}")
    encoding = TEXTS[element.kind]
    wide = encoding in ("utf-16", "utf-32")
    return bytes(element.data).decode(encoding + ("-le" if order == "<" else "-be") * wide)


def _checked(element: _Element) -> memoryview:
    if element.kind != MATRIX:
        raise ValueError(f"a cell or field has type {element.kind}, expected a matrix")
    return element.data


def _parts(data: memoryview, order: str, most: int = 0) -> list[_Element]:
    """The elements that follow each other; most: only the first so many, which must be there."""
    parts: list[_Element] = []
    place = 0
    while place + TAG <= len(data) and (not most or len(parts) < most):
        parts.append(_element(data, place, order))
        place = parts[-1].end
    if len(parts) < max(most, 3):
        raise ValueError(f"a matrix has {len(parts)} parts, expected flags, sizes and a name")
    return parts


def _element(data: memoryview, place: int, order: str) -> _Element:
    """The element at a place: its type and bytes; small ones hold both in one tag."""
    first, size = struct.unpack_from(f"{order}II", data, place) if place + TAG <= len(data) else (0, 0)
    if first >> 16:  # at most 4 bytes, in the tag itself
        kind, size, begin, end = first & 0xFFFF, first >> 16, place + 4, place + TAG
        if size > 4:
            raise ValueError(f"a short element says it has {size} bytes")
    else:
        kind, begin = first, place + TAG
        # Only what is compressed is not padded to eight bytes.
        end = begin + (size if kind == COMPRESSED else -(-size // 8) * 8)
    if begin + size > len(data):
        raise ValueError(f"an element of {size} bytes begins {len(data) - begin} bytes before the end")
    return _Element(kind, data[begin : begin + size], end)
