"""Absolute 3D human poses from ordinary cameras, for robots.

The core (everything but `pose3d_ros.ros`) needs no ROS.
"""

__version__ = "0.1.0"
