"""How fast and how steady the package is; run from a checkout by `python -m benchmarks`, not part of the wheel."""

import sys
from pathlib import Path

CHECKOUT = str(Path(__file__).resolve().parents[1])
# The checkout's own pose3d_ros has no compiled messages: an installed package goes before it.
sys.path[:] = [*(one for one in sys.path if str(Path(one).resolve()) != CHECKOUT), CHECKOUT]
