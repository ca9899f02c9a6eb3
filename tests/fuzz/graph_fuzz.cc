// Any bytes as a memory's text and metadata: what is extracted can be learned. Any lines as a
// graph's log: errors, never a crash; what was taken comes back from a snapshot.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/utf8.h"
#include "memory/graph/extract.h"
#include "memory/graph/graph.h"
#include "memory/graph/sight.h"

namespace {

using namespace asahi;
using namespace asahi::memory::graph;

void require(bool holds) {
  if (!holds) std::abort();
}

std::string dump(const Graph& graph) {
  std::string out;
  std::vector<std::string> lines;
  graph.snapshot([&](const Change& change) {
    if (change.kind == Change::kStoredFact) lines.push_back(encode(change));
  });
  for (const std::string& line : lines) out += line + '\n';
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Time now{std::chrono::days{19'500}};

  memory::Memory memory;
  memory.key = {"t", "s", "m"};
  const std::size_t half = bytes.find('\n');
  memory.metadata = std::string(bytes.substr(0, half));
  memory.content = mended_utf8(half == bytes.npos ? bytes : bytes.substr(half + 1));
  memory.timestamp = now;
  Graph graph;
  const Statement statement = extract(memory, now);
  const auto learned = graph.learn(statement, now);
  require(learned.has_value());
  require(graph.learn(statement, now)->added == 0);

  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t end = std::min(bytes.find('\n', at), bytes.size());
    if (const auto change = decode(bytes.substr(at, end - at))) {
      require(decode(encode(*change)).has_value());
      static_cast<void>(graph.apply(*change));
    }
    at = end + 1;
  }
  Graph restored;
  graph.snapshot([&](const Change& change) { require(restored.apply(change).has_value()); });
  require(dump(restored) == dump(graph));
  static_cast<void>(Sight(graph, {.valid_at = now}).network());
  graph.forget_system("s", now);
  return 0;
}
