// A payload means the same however its bytes are cut: items, faults and caps. The first byte
// chooses the format and compression.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "memory/ingest/payload.h"

namespace {

using namespace asahi::memory;

struct Read {
  std::vector<std::string> told;
  bool good = true;
};

Read read(const std::string& name, Compression compression, std::string_view bytes,
          std::size_t step) {
  Read out;
  PayloadReader reader({.max_bytes = 4 << 20});
  ItemRules rules;
  rules.tenant = "t";
  rules.system_id = "s";
  rules.upload_id = "u";
  rules.width = 2;
  rules.embedding_model = "m";
  if (!reader.begin_file(name, compression)) return out;
  const auto drain = [&] {
    for (;;) {
      auto item = reader.next();
      if (!item) return out.good = false;
      if (!*item) return true;
      if ((*item)->fault) {
        out.told.emplace_back(fault_name((*item)->fault->fault));
        continue;
      }
      const auto memory = read_item((*item)->text, rules, (*item)->index);
      if (memory && (memory->content.empty() || memory->content.size() > kMaxContent ||
                     memory->metadata.size() > kMaxMetadata || !check_key(memory->key)))
        std::abort();
      out.told.push_back(memory ? memory->content : std::string(fault_name(memory.error().fault)));
    }
  };
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    reader.give(std::string(bytes.substr(at, step)));
    if (!drain()) return out;
  }
  if (!reader.end_file()) {
    out.good = false;
    return out;
  }
  drain();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto compression = static_cast<Compression>(data[0] % 4);
  const std::string name = (data[0] & 4) != 0 ? "x.jsonl" : "x.json";
  const Read whole = read(name, compression, bytes, size);
  const Read cut = read(name, compression, bytes, 1 + data[0] / 8);
  if (whole.good != cut.good) std::abort();
  // What is broken may be noticed a piece earlier or later.
  if (whole.good && whole.told != cut.told) std::abort();
  return 0;
}
