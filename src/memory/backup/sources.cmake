list(APPEND MEMORY_SRCS backup/backup.cc backup/keeper.cc backup/restore.cc backup/sql_copy.cc backup/upward_turn.cc)
list(APPEND MEMORY_TESTS backup/backup_test.cc backup/keeper_test.cc backup/restore_test.cc backup/sql_copy_test.cc
  backup/upward_turn_test.cc)
