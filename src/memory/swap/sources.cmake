list(APPEND MEMORY_SRCS swap/copying.cc swap/follower.cc swap/mover.cc swap/place.cc swap/record.cc swap/request.cc
  swap/swap_store.cc swap/whereabouts.cc)
list(APPEND MEMORY_TESTS swap/crash_test.cc swap/mover_test.cc swap/place_test.cc swap/record_test.cc
  swap/request_test.cc)
