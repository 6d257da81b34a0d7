// Fills a HumanPose3DArray in C++ and in C, and writes it as it goes over the wire, for a reader in Python to compare.
#include <cmath>
#include <cstdio>
#include <string>
#include <type_traits>

#include <fastcdr/Cdr.h>
#include <fastcdr/FastBuffer.h>
#include <rosidl_runtime_c/string_functions.h>

#include <pose3d_ros/msg/detail/human_pose3_d_array__rosidl_typesupport_fastrtps_cpp.hpp>
#include <pose3d_ros/msg/human_pose3_d.h>
#include <pose3d_ros/msg/human_pose3_d_array.h>
#include <pose3d_ros/msg/human_pose3_d_array.hpp>
#include <pose3d_ros/msg/keypoints2_d_array.hpp>
#include <rosidl_typesupport_cpp/message_type_support.hpp>

using pose3d_ros::msg::HumanPose3D;
using pose3d_ros::msg::HumanPose3DArray;
using pose3d_ros::msg::Joint3D;

static_assert(HumanPose3D::STATE_VISIBLE == 0 && Joint3D::SOURCE_ABSENT == 0, "constants as the .msg files have them");
static_assert(std::is_same_v<decltype(HumanPose3DArray{}.people), std::vector<HumanPose3D>>);

int main(int count, char ** arguments)
{
  HumanPose3DArray poses;
  poses.header.frame_id = "world";
  poses.header.stamp.sec = 5;
  poses.skeleton = "h36m_17";
  HumanPose3D person;
  person.id = "7";
  person.joints.resize(17);
  for (size_t j = 0; j < person.joints.size(); ++j) {
    person.joints[j].position.x = 0.5 * j;
    person.joints[j].confidence = 0.25f;
    person.joints[j].orientation.z = 1.0;
    person.joints[j].orientation_std = {0.5f, 0.25f, 0.125f};
  }
  person.stature = 1.75f;
  person.foot_contact = {0.0f, 1.0f};
  poses.people.push_back(person);
  poses.floor_plane = {0.0, 0.0, 1.0, -0.5};

  auto * in_c = pose3d_ros__msg__HumanPose3DArray__create();
  const bool named = in_c && rosidl_runtime_c__String__assign(&in_c->skeleton, "h36m_17");
  const bool grown = named && pose3d_ros__msg__HumanPose3D__Sequence__init(&in_c->people, 1);
  const bool same = grown && in_c->people.size == poses.people.size() && poses.skeleton == in_c->skeleton.data;
  if (in_c) {
    pose3d_ros__msg__HumanPose3DArray__destroy(in_c);
  }
  const bool typed = rosidl_typesupport_cpp::get_message_type_support_handle<HumanPose3DArray>() != nullptr;
  if (!same || !typed || count != 2) {
    std::fprintf(stderr, "in C: %d, type support: %d, arguments: %d\n", same, typed, count);
    return 1;
  }

  eprosima::fastcdr::FastBuffer buffer;
  eprosima::fastcdr::Cdr wire(
    buffer, eprosima::fastcdr::Cdr::DEFAULT_ENDIAN, eprosima::fastcdr::CdrVersion::XCDRv1);
  wire.serialize_encapsulation();
  pose3d_ros::msg::typesupport_fastrtps_cpp::cdr_serialize(poses, wire);
  std::FILE * file = std::fopen(arguments[1], "wb");
  if (!file || std::fwrite(buffer.getBuffer(), wire.get_serialized_data_length(), 1, file) != 1) {
    return 1;
  }
  return std::fclose(file);
}
