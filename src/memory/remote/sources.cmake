list(APPEND MEMORY_SRCS remote/remote_store.cc remote/signature.cc remote/store_api.cc remote/wire.cc)
list(APPEND MEMORY_TESTS remote/remote_store_test.cc remote/signature_test.cc)
