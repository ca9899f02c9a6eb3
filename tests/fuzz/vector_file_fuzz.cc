// Any bytes as the file of a vector index: taken over whole or refused, and what was taken over can
// be searched, changed and read again. The first byte tells whether the rest comes with digests of
// its own or gets right ones, so that mutations reach what they guard.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "storage/vector/local/checked_file.h"
#include "storage/vector/local/local_index.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace asahi::vector;
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string file = data[0] % 2 == 0 ? checked_bytes(rest) : std::string(rest);
  LocalOptions options;
  options.space = {"m", 3, {"t"}};
  options.exact_rows = 2;
  options.max_entries = 1000;
  static LocalIndex* const index =
      new LocalIndex(options);  // its threads are not worth a start each
  if (!index->load_bytes(file)) return 0;
  Query query;
  query.vector = {1, 2, 3};
  for (const std::string_view tenant : {"a", "b"}) {
    const auto hits = index->search(tenant, query);
    if (!hits) std::abort();
    for (const Hit& hit : *hits) {
      if (!(hit.score >= -1 && hit.score <= 1) || hit.id.empty()) std::abort();
    }
    const Item items[] = {
        {"x", {1, 0, 0}, {{"t", 1.0}}}, {"y", {0, 1, 0}, {}}, {"z", {0, 0, 1}, {}}};
    if (!index->put(tenant, items)) std::abort();
    query.filter = {{"t", 1.0}};
    if (!index->search(tenant, query)) std::abort();
    query.filter.clear();
  }
  return 0;
}
