list(APPEND MEMORY_SRCS access/hit_counter.cc access/hit_keeper.cc access/hits.cc)
list(APPEND MEMORY_TESTS access/hit_counter_test.cc access/hit_keeper_test.cc access/hits_test.cc)
