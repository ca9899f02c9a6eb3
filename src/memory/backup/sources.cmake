list(APPEND MEMORY_SRCS backup/backup.cc backup/keeper.cc)
list(APPEND MEMORY_TESTS backup/backup_test.cc)
