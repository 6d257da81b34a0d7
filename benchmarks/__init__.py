"""How fast and how steady the package is; run from a checkout by `python -m benchmarks`, not part of the wheel."""

import sys

# `python -m` puts the checkout first, whose pose3d_ros has no compiled messages: an installed package goes before it.
sys.path.append(sys.path.pop(0))
