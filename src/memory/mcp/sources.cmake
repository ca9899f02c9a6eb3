list(APPEND MEMORY_SRCS mcp/dependency_tools.cc mcp/fitness_tools.cc mcp/knowledge_tools.cc mcp/tool_watch.cc mcp/tools.cc)
list(APPEND MEMORY_TESTS mcp/tool_watch_test.cc)
