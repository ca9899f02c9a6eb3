list(APPEND MEMORY_SRCS events/hub.cc events/live_protocol.cc)
list(APPEND MEMORY_TESTS events/hub_test.cc events/live_protocol_test.cc)
