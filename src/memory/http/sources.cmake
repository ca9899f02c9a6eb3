list(APPEND MEMORY_SRCS http/ageing_routes.cc http/alert_routes.cc http/backend_routes.cc http/backup_routes.cc http/embedding_routes.cc http/fitness_routes.cc http/health_routes.cc
  http/ingest_routes.cc http/knowledge_routes.cc http/live.cc http/ops_routes.cc http/reach.cc http/replica_routes.cc http/routes.cc http/search_routes.cc http/shutdown_route.cc
  http/stats_json.cc http/store_routes.cc)
list(APPEND MEMORY_TESTS http/ops_routes_test.cc http/shutdown_route_test.cc)
