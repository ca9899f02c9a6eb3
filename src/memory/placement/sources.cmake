list(APPEND MEMORY_SRCS placement/placement.cc placement/rebalance.cc placement/record.cc placement/sharded_store.cc)
list(APPEND MEMORY_TESTS placement/placement_test.cc placement/rebalance_test.cc placement/sharded_store_test.cc)
