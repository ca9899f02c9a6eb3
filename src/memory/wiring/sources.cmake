list(APPEND MEMORY_SRCS wiring/knowledge.cc wiring/ops.cc wiring/tiers.cc)
