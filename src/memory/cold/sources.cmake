list(APPEND MEMORY_SRCS
  cold/catalogue.cc cold/key_filter.cc cold/keys.cc cold/listing.cc cold/merge_plan.cc cold/putting.cc cold/reader.cc cold/restore.cc
  cold/row_cache.cc cold/rows.cc cold/scan.cc cold/search_rows.cc cold/shared_searches.cc cold/sql_catalogue.cc cold/store.cc cold/tier.cc cold/tier_merge.cc
  cold/tier_read.cc)
list(APPEND MEMORY_TESTS
  cold/catalogue_test.cc cold/keys_test.cc cold/merge_plan_test.cc cold/row_cache_test.cc cold/rows_test.cc
  cold/shared_searches_test.cc cold/sql_catalogue_test.cc)
