# build_info.h: the version and the commit, for config.json and --version. Made at build time, rewritten only when changed.
#   cmake -DSOURCE=... -DOUTPUT=... -DVERSION=... -P build_info.cmake
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12 --match=
                OUTPUT_VARIABLE COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE STATUS)
if(NOT STATUS EQUAL 0 OR COMMIT STREQUAL "")
  set(COMMIT unknown)
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#pragma once
namespace vkfer {
inline constexpr const char* kVersion = \"@VERSION@\";
inline constexpr const char* kCommit = \"@COMMIT@\";  // git; unknown outside a repository
}  // namespace vkfer
" @ONLY)
