"""Small replacements of ROS packages that pip lacks, with the same interface; chosen by ../distribution.py."""
