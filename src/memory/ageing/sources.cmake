list(APPEND MEMORY_SRCS
  ageing/ageing.cc ageing/ageing_access.cc ageing/ageing_runs.cc ageing/erase.cc ageing/find.cc ageing/front.cc ageing/move_gate.cc ageing/mover.cc ageing/older_below.cc ageing/originals.cc ageing/promoter.cc ageing/reembedding.cc ageing/rules.cc ageing/runs.cc)
list(APPEND MEMORY_TESTS
  ageing/access_rules_test.cc ageing/ageing_test.cc ageing/crash_test.cc ageing/find_test.cc ageing/front_test.cc ageing/move_gate_test.cc ageing/mover_test.cc
  ageing/older_below_test.cc ageing/originals_test.cc ageing/promoter_test.cc ageing/reembedding_test.cc)
