# asahi_module(NAME LAYER n SRCS … [TESTS …] [DEPS modules…] [LIBS external targets…])
#
# One static library per module and, with TESTS, one GoogleTest program. Modules name their layer (docs/architecture.md);
# a link to a higher layer, or to a sibling on the same one, fails the configure step. scripts/check_layers.py holds
# the #include lines to the same numbers.
include(GoogleTest)

# One precompiled header serves all targets: without it a file of coroutines takes three times as long.
add_library(asahi_pch STATIC ${CMAKE_SOURCE_DIR}/cmake/pch.cc)
target_link_libraries(asahi_pch PUBLIC asahi_options Boost::headers OpenSSL::SSL OpenSSL::Crypto Threads::Threads)
target_precompile_headers(asahi_pch PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch.h)

# Where tests find the PostgreSQL of the whole run: storage/sql/testing/postgres_fixture.cc.
set(ASAHI_TEST_POSTGRES ${CMAKE_BINARY_DIR}/Testing/postgres.port)

function(asahi_module NAME)
  cmake_parse_arguments(M "" "LAYER" "SRCS;TESTS;DEPS;LIBS;TEST_LIBS" ${ARGN})
  if(M_UNPARSED_ARGUMENTS OR NOT DEFINED M_LAYER)
    message(FATAL_ERROR "asahi_module(${NAME}): bad arguments ${M_UNPARSED_ARGUMENTS}")
  endif()
  set_property(GLOBAL PROPERTY asahi_layer_${NAME} ${M_LAYER})
  set(deps)
  foreach(dep IN LISTS M_DEPS)
    get_property(dep_layer GLOBAL PROPERTY asahi_layer_${dep})
    if(NOT DEFINED dep_layer OR dep_layer STREQUAL "")
      message(FATAL_ERROR "module ${NAME} needs ${dep}, which is not defined before it (layers point down)")
    endif()
    if(NOT dep_layer LESS M_LAYER)
      message(FATAL_ERROR "module ${NAME} (layer ${M_LAYER}) may not link ${dep} (layer ${dep_layer}): only lower layers")
    endif()
    list(APPEND deps asahi_${dep})
  endforeach()
  add_library(asahi_${NAME} STATIC ${M_SRCS})
  target_link_libraries(asahi_${NAME} PUBLIC asahi_pch ${deps} ${M_LIBS})
  target_precompile_headers(asahi_${NAME} REUSE_FROM asahi_pch)
  # Linking them all over files would take longer than compiling; tests run in the other presets.
  if(M_TESTS AND NOT ASAHI_LTO)
    add_executable(${NAME}_test ${M_TESTS})
    target_link_libraries(${NAME}_test PRIVATE asahi_${NAME} ${M_TEST_LIBS} GTest::gmock GTest::gtest_main)
    target_precompile_headers(${NAME}_test REUSE_FROM asahi_pch)
    # One label: gtest_discover_tests takes the second of a list for the next property.
    set(properties LABELS unit TIMEOUT 300)
    if("asahi_storage_sql_testing" IN_LIST M_TEST_LIBS)
      list(APPEND properties FIXTURES_REQUIRED postgres ENVIRONMENT ASAHI_TEST_POSTGRES=${ASAHI_TEST_POSTGRES})
    endif()
    gtest_discover_tests(${NAME}_test DISCOVERY_MODE PRE_TEST PROPERTIES ${properties})
  endif()
endfunction()
