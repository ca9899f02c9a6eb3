list(APPEND MEMORY_SRCS mcp/tools.cc)
