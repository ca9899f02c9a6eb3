list(APPEND MEMORY_SRCS embedding/choice.cc embedding/measured.cc)
list(APPEND MEMORY_TESTS embedding/choice_test.cc)
