list(APPEND MEMORY_SRCS embedding/choice.cc)
list(APPEND MEMORY_TESTS embedding/choice_test.cc)
