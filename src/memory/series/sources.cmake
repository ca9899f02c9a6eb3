list(APPEND MEMORY_SRCS
  series/alerts.cc
  series/analysis.cc
  series/rollup.cc)
list(APPEND MEMORY_TESTS
  series/alerts_test.cc
  series/analysis_test.cc
  series/rollup_test.cc)
