#include "memory/placement/record.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/file.h"
#include "net/blocking.h"

namespace asahi::memory {
namespace {

namespace fs = std::filesystem;

std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

}  // namespace

std::string PlacementNote::to_string() const {
  return fmt::format("{}\n{}\n{}", node, now.to_string(), before ? before->to_string() : "");
}

Result<PlacementNote> PlacementNote::parse(std::string_view text) {
  const std::string node(take_line(text));
  ASAHI_TRY(Placement now, Placement::parse(take_line(text)));
  PlacementNote note{.node = node, .now = std::move(now), .before = {}};
  if (const std::string_view line = take_line(text); !line.empty()) {
    ASAHI_TRY(note.before, Placement::parse(line));
  }
  return note;
}

Result<std::unique_ptr<PlacementRecord>> PlacementRecord::open(const std::string& folder) {
  if (folder == ":memory:")
    return std::unique_ptr<PlacementRecord>(new PlacementRecord(std::string()));
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) return fail(Errc::kUnavailable, folder + ": " + failed.message());
  std::unique_ptr<PlacementRecord> made(new PlacementRecord(folder + "/placement"));
  if (!fs::exists(made->path_)) return made;
  std::ifstream file(made->path_, std::ios::binary);
  if (!file) return file_error("read", made->path_);
  made->text_.assign(std::istreambuf_iterator<char>(file), {});
  if (made->text_.empty()) return made;
  auto note = PlacementNote::parse(made->text_);
  if (!note) {
    note.error().message = fmt::format("{}: {}", made->path_, note.error().message);
    return std::unexpected(std::move(note.error()));
  }
  made->note_ = std::make_shared<const PlacementNote>(std::move(*note));
  return made;
}

std::shared_ptr<const PlacementNote> PlacementRecord::note() const {
  const std::lock_guard lock(mutex_);
  return note_;
}

Task<std::string> PlacementRecord::record() {
  const std::lock_guard lock(mutex_);
  co_return text_;
}

Task<std::string> PlacementRecord::replace(std::string expected, std::string next) {
  co_return co_await net::run_blocking(
      disk_, [this, expected = std::move(expected), next = std::move(next)] {
        return write(expected, next);
      });
}

/// One at a time, on the one thread for it.
Result<std::string> PlacementRecord::write(const std::string& expected, const std::string& next) {
  std::string held;
  {
    const std::lock_guard lock(mutex_);
    held = text_;
  }
  if (held == next) return held;
  if (held != expected) {
    return fail(Errc::kConflict,
                "another process changed what is written down about the hot stores; try again");
  }
  std::shared_ptr<const PlacementNote> note;
  if (!next.empty()) {
    ASAHI_TRY(PlacementNote parsed, PlacementNote::parse(next));
    note = std::make_shared<const PlacementNote>(std::move(parsed));
  }
  if (!path_.empty()) {
    if (auto ok = replace_file(path_, next); !ok) return std::unexpected(ok.error());
  }
  const std::lock_guard lock(mutex_);
  text_ = next;
  note_ = std::move(note);
  return next;
}

Task<std::vector<UpsertOutcome>> PlacedStore::upsert_batch(std::vector<Memory> memories,
                                                           UpsertOptions options) {
  if (const auto note = record_.note(); note != nullptr && note->now.nodes().size() > 1) {
    std::string_view last;
    for (const Memory& memory : memories) {
      // Batches are of one system mostly.
      if (memory.key.system_id == last) continue;
      last = memory.key.system_id;
      const std::string& owner = note->now.owner_name(shard_of(last));
      if (owner == note->node) continue;
      // Uploads are tried again for this, until their worker has the new list.
      co_return fail(Errc::kUnavailable,
                     fmt::format("memories of system '{}' belong to the hot store {}, this is {}: "
                                 "restart what sent them with the list {}",
                                 last, owner, note->node, note->now.to_string()));
    }
  }
  co_return co_await inner().upsert_batch(std::move(memories), options);
}

}  // namespace asahi::memory
