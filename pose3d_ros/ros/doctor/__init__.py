"""What `pose3d doctor` knows: observe.py gathers facts from a running graph, checks.py judges them without ROS."""
