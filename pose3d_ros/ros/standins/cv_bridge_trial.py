"""Whether the distribution's cv_bridge works here: it imports its C++ part only on use."""

from __future__ import annotations


def convert_a_pixel() -> None:
    """Convert one rgb8 pixel to bgr8 with the installed cv_bridge; raises its error, or ImportError if it is wrong."""
    import cv_bridge
    from sensor_msgs.msg import Image

    msg = Image(height=1, width=1, step=3, encoding="rgb8")
    msg.data.frombytes(bytes([1, 2, 3]))
    pixel = cv_bridge.CvBridge().imgmsg_to_cv2(msg, desired_encoding="bgr8").ravel().tolist()
    if pixel != [3, 2, 1]:
        raise ImportError(f"it turned the rgb8 pixel [1, 2, 3] into the bgr8 pixel {pixel}")


if __name__ == "__main__":
    convert_a_pixel()
