list(APPEND MEMORY_SRCS http/ageing_routes.cc http/health_routes.cc http/ingest_routes.cc http/routes.cc http/search_routes.cc http/stats_json.cc
  http/store_routes.cc)
