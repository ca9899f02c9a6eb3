list(APPEND MEMORY_SRCS search/epochs.cc search/frequent.cc search/frequent_rows.cc search/merge.cc
  search/request.cc search/search.cc search/tiers.cc)
list(APPEND MEMORY_TESTS search/epochs_test.cc search/frequent_test.cc search/frequent_rows_test.cc search/merge_test.cc
  search/request_test.cc search/search_test.cc search/tiers_test.cc)
