list(APPEND MEMORY_SRCS
  knowledge/adjacency.cc knowledge/answer_metrics.cc knowledge/arguments.cc
  knowledge/deriver.cc
  knowledge/graph_questions.cc
  knowledge/graph_rows.cc
  knowledge/graph_store.cc
  knowledge/knowledge.cc
  knowledge/migrations.cc
  knowledge/series_questions.cc
  knowledge/series_store.cc
  knowledge/series_watch.cc)
list(APPEND MEMORY_TESTS
  knowledge/adjacency_redis_test.cc knowledge/answer_metrics_test.cc knowledge/deriver_test.cc
  knowledge/graph_store_test.cc
  knowledge/questions_test.cc
  knowledge/series_store_test.cc
  knowledge/series_watch_test.cc)
