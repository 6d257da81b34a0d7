# pose3d_ros in a container: built by colcon on a ROS base image, run by an ordinary user. See docs/docker.md.
#   docker build -t pose3d_ros --build-arg TORCH_INDEX=URL .      without a GPU; URL: PyTorch's index of CPU builds
#   docker build -t pose3d_ros:gpu --build-arg GPU=1 .            with an NVIDIA GPU
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base

SHELL ["/bin/bash", "-o", "pipefail", "-c"]

# What rosdep knows; RViz needs a screen, so it stays outside. Before the sources, so that a change there is built quickly.
COPY package.xml /workspace/src/pose3d_ros/
# The base image and its ROS packages move together; a pinned Debian version would soon be gone from the mirrors.
# hadolint ignore=DL3008
RUN apt-get update \
    && rosdep update --rosdistro "$ROS_DISTRO" \
    && rosdep install --from-paths /workspace/src --ignore-src -y --skip-keys rviz2 \
    && apt-get install -y --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*

# What rosdep does not know. pip's own PyTorch is the CUDA build on x86_64, 2.7 GB; an index of CPU builds saves that.
ARG GPU=0
ARG TORCH_INDEX=
COPY constraints.txt /workspace/
RUN python3 -m venv --system-site-packages /opt/venv \
    && if [ "$GPU" = 1 ]; then onnx=onnxruntime-gpu; else onnx=onnxruntime; fi \
    && PIP_EXTRA_INDEX_URL="$TORCH_INDEX" /opt/venv/bin/pip install --no-cache-dir -c /workspace/constraints.txt \
        torch numba openvino platformdirs safetensors simplejpeg "$onnx"
ENV PATH=/opt/venv/bin:$PATH

COPY . /workspace/src/pose3d_ros/
WORKDIR /workspace
RUN . "/opt/ros/$ROS_DISTRO/setup.bash" \
    && python3 -m colcon build --merge-install --install-base /opt/pose3d_ros --packages-select pose3d_ros \
    && install -m 755 src/pose3d_ros/scripts/container_entrypoint /usr/local/bin/pose3d_entrypoint \
    && rm -rf /workspace/*

# Models are fetched once into /cache, a volume; logs go where any user may write (docker run --user).
RUN useradd --create-home --uid 10001 pose3d && install -d -m 1777 /cache
ENV POSE3D_CACHE=/cache ROS_LOG_DIR=/tmp/ros_logs \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
VOLUME /cache
USER 10001
WORKDIR /home/pose3d
ENTRYPOINT ["pose3d_entrypoint"]
CMD ["stereo.launch.py"]
