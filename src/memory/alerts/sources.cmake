list(APPEND MEMORY_SRCS alerts/alerts.cc alerts/store.cc alerts/watch.cc)
list(APPEND MEMORY_TESTS alerts/alerts_test.cc alerts/store_test.cc alerts/watch_test.cc)
