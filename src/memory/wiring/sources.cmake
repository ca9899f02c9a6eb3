list(APPEND MEMORY_SRCS wiring/ops.cc)
