list(APPEND MEMORY_SRCS
  outside/orchestrator.cc
  outside/queue_listener.cc
  outside/services.cc
  outside/upload_queue.cc
  outside/workflow_runs.cc)
list(APPEND MEMORY_TESTS
  outside/orchestrator_test.cc
  outside/services_test.cc
  outside/upload_queue_test.cc)
