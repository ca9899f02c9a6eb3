list(APPEND MEMORY_SRCS mcp/dependency_tools.cc mcp/fitness_tools.cc mcp/knowledge_tools.cc mcp/tools.cc)
