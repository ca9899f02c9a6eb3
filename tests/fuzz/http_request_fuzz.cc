// A request must mean the same however its bytes are cut. What is refused in one piece is refused
// in pieces as well, at the latest with the end of its head: Beast looks for that first.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "net/http/request_parser.h"

namespace {

using namespace asahi::http;

struct Outcome {
  int fault = 0;
  bool done = false;
  std::size_t taken = 0;
  Request request;
};

Outcome parse(std::string_view bytes, std::size_t step) {
  Outcome outcome;
  RequestParser parser({2048, 32});
  parser.start(outcome.request);
  std::string held;
  for (std::size_t at = 0; at < bytes.size() && !parser.done();) {
    const auto more = bytes.substr(at, step);
    at += more.size();
    held += more;
    for (bool progress = true; progress && !held.empty() && !parser.done();) {
      const bool had_head = parser.head_done();
      const std::vector<char> exact(held.begin(), held.end());
      const auto fed = parser.feed({exact.data(), exact.size()});
      if (!fed) {
        outcome.fault = fed.error().status;
        return outcome;
      }
      held.erase(0, *fed);
      outcome.taken += *fed;
      if (!had_head && parser.head_done()) parser.set_max_body_bytes(4096);
      progress = *fed > 0 || (!had_head && parser.head_done());
    }
  }
  outcome.done = parser.done();
  return outcome;
}

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Outcome whole = parse(bytes, std::string_view::npos);
  for (const std::size_t step : {std::size_t{1}, std::size_t{5}}) {
    const Outcome cut = parse(bytes, step);
    require(whole.done == cut.done);
    if (cut.fault != 0) require(whole.fault != 0);
    if (whole.fault != 0 && cut.fault == 0) {
      const Outcome ended = parse(std::string(bytes) + "\r\n\r\n", step);
      require(ended.fault != 0 && !ended.done);
    }
    if (!whole.done) continue;
    require(whole.taken == cut.taken && whole.request.path == cut.request.path);
    require(whole.request.body == cut.request.body &&
            whole.request.headers.size() == cut.request.headers.size());
  }
  if (whole.done) {
    require(whole.request.path.find('\0') == std::string::npos);
    require(whole.request.body.size() <= 4096);
    for (const auto& [name, value] : whole.request.headers) {
      require(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
      require(!name.empty());
    }
    whole.request.query_param("a");
  }
  return 0;
}
