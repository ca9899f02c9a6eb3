// Any bytes as a memory's text: its sentences lie in it, in order and apart; its summary is UTF-8
// of bounded length.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/utf8.h"
#include "memory/summary/sentences.h"
#include "memory/summary/summary.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace asahi;
  using namespace asahi::memory;
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::size_t end = 0;
  for (const Sentence& sentence : split_sentences(text)) {
    require(sentence.begin >= end && sentence.end > sentence.begin && sentence.end <= size);
    end = sentence.end;
  }
  for (const SummaryOptions& options : {kWarmSummary, kColdSummary}) {
    const std::string summary = summarise(text, options);
    require(is_utf8(summary) && summary.size() <= options.max_bytes);
  }
  return 0;
}
