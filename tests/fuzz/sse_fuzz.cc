// Events must be the same however the bytes are cut, and an event that we write must be read back.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "net/sse/parser.h"

namespace {

using namespace asahi::sse;

struct Outcome {
  bool failed = false;
  std::vector<Event> events;
};

Outcome parse(std::string_view bytes, std::size_t step) {
  Outcome outcome;
  Parser parser(512);
  for (std::size_t at = 0; at < bytes.size() && !outcome.failed;
       at += std::min(step, bytes.size())) {
    outcome.failed = !parser.feed(bytes.substr(at, step), outcome.events).has_value();
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Outcome whole = parse(bytes, std::string_view::npos);
  for (const std::size_t step : {std::size_t{1}, std::size_t{3}}) {
    const Outcome cut = parse(bytes, step);
    if (whole.failed != cut.failed || whole.events.size() != cut.events.size()) std::abort();
    for (std::size_t i = 0; i < cut.events.size(); ++i) {
      const Event& a = whole.events[i];
      const Event& b = cut.events[i];
      if (a.event != b.event || a.data != b.data || a.id != b.id) std::abort();
    }
  }
  if (size < 200) {
    std::string text;
    append_event(text, "", bytes);
    const Outcome back = parse(text, 4);
    if (!back.failed && back.events.size() != 1) std::abort();
  }
  return 0;
}
