list(APPEND MEMORY_TESTS testing/memory_store.cc testing/memory_store_test.cc testing/packed.cc)
list(APPEND MEMORY_TESTS testing/store_contract_test.cc)
