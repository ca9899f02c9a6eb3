list(APPEND MEMORY_SRCS
  summary/quantise.cc
  summary/sentences.cc
  summary/summary.cc)
list(APPEND MEMORY_TESTS
  summary/quantise_test.cc
  summary/sentences_test.cc
  summary/summary_test.cc)
