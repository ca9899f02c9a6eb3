list(APPEND MEMORY_SRCS search/epochs.cc search/merge.cc search/request.cc search/search.cc)
list(APPEND MEMORY_TESTS search/merge_test.cc search/request_test.cc)
