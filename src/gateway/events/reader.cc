#include "gateway/events/reader.h"

#include <fmt/format.h>

#include <fstream>

#include "gateway/events/event_log.h"

namespace asahi::gateway {

Result<void> each_event(const std::string& dir,
                        const std::function<void(const InferenceEvent&)>& visit,
                        const std::function<void(const UnreadableLine&)>& unreadable) {
  for (const std::string& file : log_files(dir)) {
    std::ifstream in(dir + '/' + file);
    if (!in) return fail(Errc::kUnavailable, fmt::format("cannot read {}/{}", dir, file));
    std::string line;
    for (std::size_t number = 1; std::getline(in, line); ++number) {
      if (line.empty()) continue;
      if (const auto event = event_from_json(line)) {
        visit(*event);
      } else {
        unreadable({file, number});
      }
    }
  }
  return {};
}

}  // namespace asahi::gateway
