list(APPEND MEMORY_SRCS text/digest.cc text/fold.cc text/index.cc text/language.cc text/language_data.cc text/postings.cc text/stem.cc text/tokenise.cc
  text/traversal.cc)
list(APPEND MEMORY_TESTS text/index_test.cc text/language_test.cc text/tokenise_test.cc)
