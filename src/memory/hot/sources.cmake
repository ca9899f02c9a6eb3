list(APPEND MEMORY_SRCS
  hot/changes.cc hot/checkpoint.cc hot/codec.cc hot/crc32c.cc hot/engine.cc hot/engine_background.cc hot/engine_checkpoint.cc
  hot/engine_commit.cc hot/engine_erase.cc hot/engine_read.cc hot/engine_upsert.cc hot/engine_vectors.cc hot/hot_store.cc
  hot/log.cc hot/moves.cc hot/shingle_duplicates.cc hot/segment.cc hot/table.cc hot/text_keyword.cc hot/vectors.cc)
list(APPEND MEMORY_TESTS hot/checkpoint_test.cc hot/engine_model_test.cc hot/engine_test.cc hot/log_test.cc hot/moves_test.cc)
