list(APPEND MEMORY_SRCS pgvector/rows.cc pgvector/schema.cc pgvector/search.cc pgvector/store.cc)
list(APPEND MEMORY_TESTS pgvector/rows_test.cc)
