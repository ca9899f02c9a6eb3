list(APPEND MEMORY_SRCS measure/errors.cc measure/measured_cache.cc measure/measured_store.cc
  measure/operation.cc)
list(APPEND MEMORY_TESTS measure/errors_test.cc measure/measured_store_test.cc
  measure/operation_test.cc)
