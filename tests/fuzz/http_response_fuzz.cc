// An answer must give the same status and body however its bytes are cut. What is refused in one
// piece is refused in pieces as well, at the latest with the end of its head.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "net/http/response_parser.h"

namespace {

using namespace asahi::http;

struct Outcome {
  bool failed = false;
  bool done = false;
  int status = 0;
  std::string body;
};

Outcome parse(std::string_view bytes, std::size_t step) {
  Outcome outcome;
  ResponseParser parser(ResponseParser::RequestKind::kOther, 2048);
  std::string held;
  for (std::size_t at = 0; at < bytes.size() && !parser.done();) {
    const auto more = bytes.substr(at, step);
    at += more.size();
    held += more;
    for (bool progress = true; progress && !held.empty() && !parser.done();) {
      const std::vector<char> exact(held.begin(), held.end());
      const std::string_view view(exact.data(), exact.size());
      std::size_t taken = 0;
      const bool had_head = parser.head_done();
      if (!had_head) {
        const auto fed = parser.feed_head(view);
        if (!fed) return outcome.failed = true, outcome;
        taken = *fed;
      } else {
        const auto next = parser.next_body(view);
        if (!next) return outcome.failed = true, outcome;
        taken = next->taken;
        outcome.body += next->piece;
      }
      held.erase(0, taken);
      progress = taken > 0 || (!had_head && parser.head_done());
    }
  }
  outcome.done = parser.done();
  if (parser.head_done()) outcome.status = parser.status();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Outcome whole = parse(bytes, std::string_view::npos);
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}}) {
    const Outcome cut = parse(bytes, step);
    if (whole.done != cut.done || (cut.failed && !whole.failed)) std::abort();
    if (whole.failed && !cut.failed) {
      const Outcome ended = parse(std::string(bytes) + "\r\n\r\n", step);
      if (!ended.failed || ended.done) std::abort();
    }
    if (!whole.failed && (whole.status != cut.status || whole.body != cut.body)) std::abort();
  }
  return 0;
}
