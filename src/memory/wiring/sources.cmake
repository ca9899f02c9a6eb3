list(APPEND MEMORY_SRCS wiring/ageing_role.cc wiring/backups.cc wiring/buckets.cc wiring/feeds.cc wiring/fitness.cc wiring/fleet.cc wiring/hot_nodes.cc wiring/knowledge.cc wiring/ops.cc wiring/outside.cc wiring/replicas.cc wiring/roles.cc
  wiring/store_role.cc wiring/tiers.cc)
list(APPEND MEMORY_TESTS wiring/buckets_test.cc wiring/hot_nodes_test.cc wiring/reach_walk_test.cc wiring/roles_test.cc)
