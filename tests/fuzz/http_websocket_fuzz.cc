// Frames must amount to the same events however they are cut, and stay within the message limit.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "net/websocket/frame.h"

namespace {

using namespace asahi::http;

struct Outcome {
  std::uint16_t error = 0;
  std::vector<WebSocketEvent> events;
};

Outcome parse(std::string_view bytes, std::size_t step) {
  Outcome outcome;
  WebSocketReader reader(256);
  for (std::size_t at = 0; at < bytes.size() && outcome.error == 0;
       at += std::min(step, bytes.size())) {
    if (auto fed = reader.feed(bytes.substr(at, step), outcome.events); !fed)
      outcome.error = fed.error();
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Outcome whole = parse(bytes, std::string_view::npos);
  const Outcome cut = parse(bytes, 1);
  if (whole.error != cut.error || whole.events.size() != cut.events.size()) std::abort();
  for (std::size_t i = 0; i < cut.events.size(); ++i) {
    if (whole.events[i].data != cut.events[i].data || whole.events[i].data.size() > 256)
      std::abort();
  }
  return 0;
}
