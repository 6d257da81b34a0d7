"""What a ROS distribution has and pip has not, small and of the same interface; chosen by ../distribution.py."""
