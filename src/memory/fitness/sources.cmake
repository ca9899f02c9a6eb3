list(APPEND MEMORY_SRCS
  fitness/analyzer.cc
  fitness/figures.cc
  fitness/fitness_store.cc
  fitness/questions.cc
  fitness/trace.cc
  fitness/trace_store.cc)
list(APPEND MEMORY_TESTS
  fitness/analyzer_test.cc
  fitness/figures_test.cc
  fitness/fitness_store_test.cc
  fitness/trace_store_test.cc)
