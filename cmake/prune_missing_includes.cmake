# Makes the ROS wheels of PyPI usable as a build prefix.
#
# Some of their exported targets (*__rosidl_generator_pyExport.cmake) name a NumPy include directory of the machine the
# wheel was built on; CMake refuses to generate when an imported target names a directory that does not exist.
# Loaded through CMAKE_PROJECT_INCLUDE; the wheels themselves stay as they are. Harmless where nothing is missing.
cmake_minimum_required(VERSION 3.21)

function(prune_missing_includes)
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(directories ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(NOT directories)
      continue()
    endif()
    set(kept "")
    foreach(directory IN LISTS directories)
      # Generator expressions can only be judged later; leave them alone.
      if(directory MATCHES "\\$<" OR EXISTS "${directory}")
        list(APPEND kept "${directory}")
      endif()
    endforeach()
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${kept}")
  endforeach()
endfunction()

# Deferred: the targets only exist once the project has called find_package.
cmake_language(DEFER CALL prune_missing_includes)
