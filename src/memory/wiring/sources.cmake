list(APPEND MEMORY_SRCS wiring/knowledge.cc)
