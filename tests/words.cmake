cmake_minimum_required(VERSION 3.22)
# The project speaks of itself alone: no absolute path of a machine, no left-over marks.
# usage: cmake -DROOT= -P words.cmake
file(GLOB_RECURSE files ${ROOT}/src/* ${ROOT}/tiles/* ${ROOT}/models/*.[chp]* ${ROOT}/include/* ${ROOT}/tools/*
     ${ROOT}/benchmarks/*.[chm]* ${ROOT}/tests/*.[chs]* ${ROOT}/README.md ${ROOT}/CHANGELOG.md ${ROOT}/CMakeLists.txt)
set(n 0)
foreach(f ${files})
  if(f MATCHES "/(corpus|node_modules)/" OR f MATCHES "words.cmake$" OR IS_DIRECTORY ${f})
    continue()
  endif()
  math(EXPR n "${n}+1")
  file(STRINGS ${f} hits REGEX "(/home/[a-z]|/root/|/[w]ork/|TODO|FIXME|XXX:|HACK)")
  foreach(h ${hits})
    message(SEND_ERROR "${f}: ${h}")
  endforeach()
endforeach()
message(STATUS "${n} files read")
