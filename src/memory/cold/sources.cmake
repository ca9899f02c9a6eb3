list(APPEND MEMORY_SRCS
  cold/catalogue.cc cold/key_filter.cc cold/keys.cc cold/restore.cc cold/rows.cc cold/scan.cc cold/sql_catalogue.cc cold/store.cc cold/tier.cc)
list(APPEND MEMORY_TESTS cold/catalogue_test.cc cold/keys_test.cc cold/rows_test.cc cold/sql_catalogue_test.cc)
