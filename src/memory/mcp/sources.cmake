list(APPEND MEMORY_SRCS mcp/knowledge_tools.cc mcp/tools.cc)
