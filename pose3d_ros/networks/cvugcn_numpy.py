"""CV-UGCN's shift without torch's overhead, for one person most of its time (NumPy and kernels, float32).

The same function as CvUgcn.forward in evaluation, for the stems of the rig-conditioned form: shared, or none. Batch
norms are folded into the linear layers before them. Here h is (B, V*N, C), nodes numbered as in the kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from pose3d_ros import kernels
from pose3d_ros.errors import InputError
from pose3d_ros.networks.cvugcn import SHIFT_M, CvUgcn
from pose3d_ros.networks.graph import PARTS

Array = NDArray[np.float32]
Layer = Callable[[Array], Array]
J, P = sum(len(part) for part in PARTS), len(PARTS)
_JOINTS = np.concatenate(PARTS)  # part by part
_STARTS = np.cumsum([0, *(len(part) for part in PARTS[:-1])])  # of the parts in _JOINTS
_PART = np.repeat(np.arange(P), [len(part) for part in PARTS])[np.argsort(_JOINTS)]  # of each joint


def shift_in_numpy(net: CvUgcn) -> Layer:
    """What net adds to a pose, by its weights as they are now: finite features (B, V, J, C) -> (B, V, J, 3) m.

    Raises InputError for separate stems.
    """
    if net.options.stems == "separate":
        raise InputError("a network with separate stems has no form in NumPy: call the network itself")
    views = net.options.views
    mean, std = _array(net.norm.mean), _array(net.norm.std)
    stem, parts_units = _units(net.stems[0]), _units(net.parts_units)
    joints_unit, whole_unit, joints_out = _unit(net.joints_unit), _unit(net.whole_unit), _unit(net.joints_out)
    parts_out, shift = _linear(net.parts_out[0], net.parts_out[1]), _linear(net.shift)
    stem_nodes = J if net.options.stems == "shared" else views * J

    def forward(features: Array) -> Array:
        batch, _, _, channels = features.shape
        h = stem(_named((features - mean) / std).reshape(-1, stem_nodes, channels + J))
        at_joints = joints_unit(h.reshape(batch, views * J, -1))
        each = at_joints.reshape(batch * views, J, -1)
        at_parts = parts_units(np.maximum.reduceat(each[:, _JOINTS], _STARTS, axis=1).reshape(batch, views * P, -1))
        at_whole = whole_unit(at_parts.reshape(batch, views, P, -1).max(axis=2))
        both = np.concatenate((np.repeat(at_whole, P, axis=1), at_parts), axis=-1)
        back = _rectified(parts_out(both)).reshape(batch * views, P, -1)
        out = joints_out(_named(np.concatenate((each, back[:, _PART]), axis=-1)).reshape(batch, views * J, -1))
        return np.asarray(SHIFT_M * shift(out).reshape(batch, views, J, 3))

    return forward


def _named(h: Array) -> Array:
    """(..., J, C) -> (..., J, C + J), as cvugcn.named."""
    names = np.broadcast_to(np.eye(J, dtype=np.float32), (*h.shape[:-1], J))
    return np.concatenate((h, names), axis=-1)


def _units(units: Any) -> Layer:
    one, other = (_unit(unit) for unit in units)
    return lambda h: other(one(h))


def _unit(unit: Any) -> Layer:
    """A GraphUnit, (B, V*N, C) -> (B, V*N, F)."""
    convolution, first, _, _, linear, second, _ = unit.body
    neighbours = _array(convolution.kernels)
    inner, outer = _linear(convolution.weight, first), _linear(linear, second)
    widened = _linear(*unit.residual) if isinstance(unit.residual, nn.Sequential) else None

    def forward(h: Array) -> Array:
        joined = kernels.layers.gathered(h, neighbours).reshape(*h.shape[:2], -1)
        z = outer(_rectified(inner(joined)))
        if unit.residual is not None:
            z += h if widened is None else widened(h)
        return _rectified(z)

    return forward


def _linear(linear: Any, norm: Any = None) -> Layer:
    """A linear layer with the batch norm behind it, (B, N, C) -> (B, N, F)."""
    weight = linear.weight.double()
    bias = weight.new_zeros(len(weight)) if linear.bias is None else linear.bias.double()
    if norm is not None:
        scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        weight, bias = scale[:, None] * weight, norm.bias.double() + scale * (bias - norm.running_mean.double())
    turned, start = _array(weight.T), _array(bias)

    def forward(h: Array) -> Array:
        out = np.empty((*h.shape[:-1], len(start)), dtype=np.float32)
        out[:] = start
        kernels.layers.add_product(out.reshape(-1, len(start)), h.reshape(-1, h.shape[-1]), turned)
        return out

    return forward


def _rectified(h: Array) -> Array:
    return np.maximum(h, 0, out=h)


def _array(numbers: Tensor) -> Array:
    return np.ascontiguousarray(numbers.detach().cpu().numpy(), dtype=np.float32)
