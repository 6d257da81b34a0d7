"""`pose3d doctor`: observe.py gathers facts from a running graph, checks.py evaluates them without ROS."""
