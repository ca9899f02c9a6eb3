list(APPEND MEMORY_SRCS wiring/ageing_role.cc wiring/backups.cc wiring/feeds.cc wiring/fleet.cc wiring/knowledge.cc wiring/ops.cc wiring/roles.cc
  wiring/store_role.cc wiring/tiers.cc)
list(APPEND MEMORY_TESTS wiring/roles_test.cc)
