list(APPEND MEMORY_SRCS warm/warm_store.cc)
