list(APPEND MEMORY_SRCS replicas/keeper.cc)
list(APPEND MEMORY_TESTS replicas/keeper_test.cc)
