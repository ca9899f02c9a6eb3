list(APPEND MEMORY_SRCS ops/cache_warmer.cc ops/circuit.cc ops/health.cc ops/live_settings.cc
  ops/sampler.cc ops/search_metrics.cc ops/systems.cc ops/tier_gauges.cc ops/watched_store.cc)
list(APPEND MEMORY_TESTS ops/cache_warmer_test.cc ops/circuit_test.cc ops/health_test.cc ops/live_settings_test.cc
  ops/watched_store_test.cc)
