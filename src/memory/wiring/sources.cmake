list(APPEND MEMORY_SRCS wiring/tiers.cc)
