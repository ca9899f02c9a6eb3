list(APPEND MEMORY_SRCS
  dedup/duplicates.cc
  dedup/lsh.cc
  dedup/minhash.cc
  dedup/normalise.cc
  dedup/shingles.cc
  dedup/unicode_data.cc)
list(APPEND MEMORY_TESTS
  dedup/duplicates_test.cc
  dedup/minhash_test.cc
  dedup/normalise_test.cc)
