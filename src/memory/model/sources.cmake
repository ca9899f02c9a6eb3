list(APPEND MEMORY_SRCS model/metadata.cc model/query.cc model/reach.cc model/record.cc model/shards.cc)
list(APPEND MEMORY_TESTS model/query_test.cc model/reach_test.cc model/record_test.cc)
