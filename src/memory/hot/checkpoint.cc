#include "memory/hot/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "storage/vector/local/checked_file.h"

namespace asahi::memory::hot {
namespace {

constexpr std::string_view kKind = "asahi hot checkpoint 1";
constexpr std::string_view kName = "checkpoint";
constexpr std::size_t kMostText = 1024;

template <class T>
void put_all(vector::CheckedWriter& out, const std::vector<T>& values) {
  out.put(static_cast<std::uint64_t>(values.size()));
  out.put(values.data(), values.size() * sizeof(T));
}

/// `most`: bytes of the file; no list has more.
template <class List>
bool get_all(vector::CheckedReader& in, List& values, std::size_t most) {
  std::uint64_t count = 0;
  if (!in.get(count) || count > most / sizeof(values[0])) return false;
  values.resize(count);
  return in.get(values.data(), count * sizeof(values[0]));
}

bool read_graph(vector::CheckedReader& in, SavedGraph& graph, std::size_t most) {
  return in.text(graph.model, kMostText) && in.get(graph.dimensions) &&
         in.text(graph.file, kMostText) && graph.file.find('/') == std::string::npos &&
         get_all(in, graph.links, most);
}

bool read_shelf(vector::CheckedReader& in, SavedShelf& shelf, std::size_t most) {
  std::uint32_t graphs = 0;
  if (!in.text(shelf.tenant, kMostText) || !get_all(in, shelf.sequences, most) ||
      !get_all(in, shelf.contents, most) || shelf.contents.size() != shelf.sequences.size() ||
      !get_all(in, shelf.words, most) || !in.get(graphs)) {
    return false;
  }
  for (std::uint32_t i = 0; i < graphs; ++i) {
    if (!read_graph(in, shelf.graphs.emplace_back(), most)) return false;
  }
  return true;
}

}  // namespace

Result<void> write_checkpoint(const std::string& folder, const Checkpoint& checkpoint) {
  vector::CheckedWriter out(folder + "/" + std::string(kName));
  out.text(kKind);
  out.put(checkpoint.generation);
  out.put(static_cast<std::uint64_t>(checkpoint.shelves.size()));
  for (const SavedShelf& shelf : checkpoint.shelves) {
    out.text(shelf.tenant);
    put_all(out, shelf.sequences);
    put_all(out, shelf.contents);
    out.put(static_cast<std::uint64_t>(shelf.words.size()));
    out.put(shelf.words.data(), shelf.words.size());
    out.put(static_cast<std::uint32_t>(shelf.graphs.size()));
    for (const SavedGraph& graph : shelf.graphs) {
      out.text(graph.model);
      out.put(graph.dimensions);
      out.text(graph.file);
      put_all(out, graph.links);
    }
  }
  return out.finish();
}

Result<Checkpoint> read_checkpoint(const std::string& folder) {
  ASAHI_TRY(const auto mapped, vector::MappedFile::open(folder + "/" + std::string(kName)));
  const std::size_t most = mapped.bytes().size();
  vector::CheckedReader in(mapped.bytes());
  Checkpoint out;
  std::string kind;
  std::uint64_t shelves = 0;
  bool good =
      in.text(kind, kMostText) && kind == kKind && in.get(out.generation) && in.get(shelves);
  for (std::uint64_t i = 0; good && i < shelves; ++i) {
    good = read_shelf(in, out.shelves.emplace_back(), most);
  }
  if (good && in.at_end()) return out;
  return fail(Errc::kCorrupt, "the hot tier's checkpoint in " + folder +
                                  " is cut or changed; the start works from the log instead");
}

void tidy_checkpoints(const std::string& folder, const Checkpoint& kept) {
  std::set<std::string, std::less<>> names = {std::string(kName)};
  for (const SavedShelf& shelf : kept.shelves) {
    for (const SavedGraph& graph : shelf.graphs) names.insert(graph.file);
  }
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (names.contains(entry.path().filename().string())) continue;
    std::filesystem::remove(entry.path(), error);
  }
}

}  // namespace asahi::memory::hot
