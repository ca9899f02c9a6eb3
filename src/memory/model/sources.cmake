list(APPEND MEMORY_SRCS model/query.cc model/record.cc)
list(APPEND MEMORY_TESTS model/record_test.cc)
