list(APPEND MEMORY_SRCS rank/conversations.cc rank/evidence.cc rank/fusion.cc rank/hot_keyword.cc rank/keywords.cc rank/named_time.cc
  rank/question.cc)
list(APPEND MEMORY_TESTS rank/conversations_test.cc rank/evidence_test.cc rank/fusion_test.cc rank/hot_keyword_test.cc rank/keywords_test.cc
  rank/named_time_test.cc)
