list(APPEND MEMORY_SRCS residency/rules.cc residency/staying.cc)
list(APPEND MEMORY_TESTS residency/residency_test.cc residency/rules_test.cc)
