list(APPEND MEMORY_SRCS model/metadata.cc model/query.cc model/reach.cc model/record.cc model/seen_in.cc model/shards.cc)
list(APPEND MEMORY_TESTS model/query_test.cc model/reach_test.cc model/record_test.cc model/seen_in_test.cc)
