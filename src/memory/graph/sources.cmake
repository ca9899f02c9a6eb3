list(APPEND MEMORY_SRCS
  graph/centrality.cc
  graph/change.cc
  graph/dates.cc
  graph/extract.cc
  graph/fact.cc
  graph/graph.cc
  graph/network.cc
  graph/phrases.cc
  graph/rows.cc
  graph/sight.cc)
list(APPEND MEMORY_TESTS
  graph/extract_test.cc
  graph/graph_test.cc
  graph/network_test.cc
  graph/sight_test.cc)
