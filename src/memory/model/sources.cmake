list(APPEND MEMORY_SRCS model/query.cc model/record.cc)
list(APPEND MEMORY_TESTS model/query_test.cc model/record_test.cc)
