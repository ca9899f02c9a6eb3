# The compiler rule of docs/decisions/0001-compiler.md.
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang" OR CMAKE_CXX_COMPILER_VERSION VERSION_LESS 19)
  message(FATAL_ERROR
    "Asahi builds with clang-19: g++ 12.2 destroys some temporaries in co_await expressions twice, and older "
    "clangs cannot build coroutines with ASan. Configure with a preset (cmake --preset dev) or set CXX=clang++-19.")
endif()
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)

find_program(ASAHI_CCACHE ccache)
if(ASAHI_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${ASAHI_CCACHE})
endif()

add_library(asahi_options INTERFACE)
target_include_directories(asahi_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(asahi_options INTERFACE
  -Wall -Wextra -Wshadow -Werror -Wno-missing-field-initializers
  -fPIE -fno-plt -fno-omit-frame-pointer -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.
  "SHELL:-Xclang -fno-pch-timestamp")
# The executor type is concrete everywhere, and one translation unit holds Asio's non-template code. Coroutine frames come
# from the allocator itself: Asio's cache of two keeps giving one back to make room for one of another size.
target_compile_definitions(asahi_options INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_AWAITABLE_FRAME_RECYCLING ASAHI_VERSION="${PROJECT_VERSION}")
# Release: calls across files are inlined where they are hot (ThinLTO), which only lld can link. Everything else links
# in a second with mold.
option(ASAHI_LTO "Optimise across files at link time" OFF)
if(ASAHI_LTO)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
  set(linker lld)
else()
  set(linker mold)
endif()
add_link_options(-pie -fuse-ld=${linker} -Wl,--as-needed -Wl,-z,now)
if(ASAHI_LTO)
  # What the profile calls hot, unlikely or needed at the start stays together; what nobody calls is left out, and what
  # is the same is there once; addresses of our own are packed. So less of it is ever in memory.
  add_link_options(-Wl,-z,keep-text-section-prefix -Wl,--gc-sections -Wl,--icf=safe
    -Wl,-z,pack-relative-relocs)
  # Linking again optimises again only what has changed.
  add_link_options(-Wl,--thinlto-cache-dir=${CMAKE_BINARY_DIR}/thinlto -Wl,--thinlto-cache-policy=cache_size_bytes=1g)
endif()

# The release is laid out by a profile of the benchmarks' loads, which bench/profile.sh renews. A function that has changed
# since is compiled as without one.
set(ASAHI_PROFILE "" CACHE STRING "A profile to optimise by, or 'generate'")
if(ASAHI_PROFILE STREQUAL "generate")
  add_compile_options(-fprofile-generate)
  add_link_options(-fprofile-generate)
elseif(ASAHI_PROFILE)
  # Under a name of its content: another profile is another command, and everything is built anew.
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${ASAHI_PROFILE})
  file(MD5 ${ASAHI_PROFILE} digest)
  set(profile ${CMAKE_BINARY_DIR}/${digest}.profdata)
  configure_file(${ASAHI_PROFILE} ${profile} COPYONLY)
  add_compile_options(-fprofile-use=${profile}
    -Wno-profile-instr-unprofiled -Wno-profile-instr-out-of-date -Wno-backend-plugin)
endif()
