list(APPEND MEMORY_SRCS outside/orchestrator.cc outside/services.cc outside/workflow_runs.cc)
list(APPEND MEMORY_TESTS outside/orchestrator_test.cc outside/services_test.cc)
