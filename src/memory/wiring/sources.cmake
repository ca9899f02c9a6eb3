list(APPEND MEMORY_SRCS wiring/fleet.cc wiring/roles.cc wiring/store_role.cc)
list(APPEND MEMORY_TESTS wiring/roles_test.cc)
