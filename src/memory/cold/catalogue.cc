#include "memory/cold/catalogue.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string_view>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"

namespace asahi::memory::cold {

namespace {

std::string hex(const Digest& digest) { return to_hex(digest); }

json::object write_file(const ColdFile& file) {
  json::object out;
  out["key"] = file.key;
  out["tenant"] = file.tenant;
  out["system_id"] = file.system_id;
  out["rows"] = file.rows;
  out["bytes"] = file.bytes;
  out["oldest"] = file.oldest.time_since_epoch().count();
  out["newest"] = file.newest.time_since_epoch().count();
  out["sha256"] = hex(file.sha256);
  out["generation"] = file.generation;
  out["filter"] = base64_encode(file.filter);
  json::array tombstones;
  for (const std::string& id : file.tombstones) tombstones.emplace_back(id);
  out["tombstones"] = std::move(tombstones);
  if (!file.storage_class.empty()) out["storage_class"] = file.storage_class;
  out["state"] = static_cast<int>(file.state);
  out["changed"] = file.changed.time_since_epoch().count();
  return out;
}

Clock::Time time_of(const json::value& value) {
  return Clock::Time(std::chrono::nanoseconds(value.to_number<std::int64_t>()));
}

ColdFile read_file(const json::value& value) {
  ColdFile file;
  file.key = value.at("key").as_string();
  file.tenant = value.at("tenant").as_string();
  file.system_id = value.at("system_id").as_string();
  file.rows = value.at("rows").to_number<std::uint64_t>();
  file.bytes = value.at("bytes").to_number<std::uint64_t>();
  file.oldest = time_of(value.at("oldest"));
  file.newest = time_of(value.at("newest"));
  file.generation = value.at("generation").to_number<std::uint64_t>();
  const auto state = value.at("state").to_number<int>();
  if (state < 0 || state > static_cast<int>(FileState::kRetired))
    throw std::invalid_argument("a cold file's state");
  file.state = static_cast<FileState>(state);
  file.changed = time_of(value.at("changed"));
  // Rows of before there were such classes have none.
  if (const json::value* const kept = value.as_object().if_contains("storage_class"))
    file.storage_class = kept->as_string();
  const auto filter = base64_decode(value.at("filter").as_string());
  if (!from_hex(value.at("sha256").as_string(), file.sha256) || !filter)
    throw std::invalid_argument("a cold file's row");
  file.filter = *filter;
  for (const json::value& id : value.at("tombstones").as_array())
    file.tombstones.emplace_back(id.as_string());
  return file;
}

std::string line_of(const CatalogueChange& change) {
  json::object out;
  json::array removed, put;
  for (const std::string& key : change.removed) removed.emplace_back(key);
  for (const ColdFile& file : change.put) put.emplace_back(write_file(file));
  out["removed"] = std::move(removed);
  out["put"] = std::move(put);
  const std::string text = json::serialize(out);
  return hex(sha256(text)) + " " + text + "\n";
}

Result<CatalogueChange> change_of(std::string_view line) {
  constexpr std::size_t kSum = 64;
  Digest sum{};
  if (line.size() < kSum + 2 || line[kSum] != ' ' || !from_hex(line.substr(0, kSum), sum) ||
      sum != sha256(line.substr(kSum + 1)))
    return fail(Errc::kCorrupt, "a line of the cold catalogue does not have its sum");
  try {
    const json::value value = json::parse(line.substr(kSum + 1));
    CatalogueChange change;
    for (const json::value& key : value.at("removed").as_array())
      change.removed.emplace_back(key.as_string());
    for (const json::value& file : value.at("put").as_array())
      change.put.push_back(read_file(file));
    return change;
  } catch (const std::exception& e) {
    return fail(Errc::kCorrupt,
                std::string("a line of the cold catalogue cannot be read: ") + e.what());
  }
}

}  // namespace

std::string file_text(const ColdFile& file) { return json::serialize(write_file(file)); }

Result<ColdFile> parse_file(std::string_view text) {
  try {
    return read_file(json::parse(text));
  } catch (const std::exception& e) {
    return fail(Errc::kCorrupt,
                std::string("a row of the cold catalogue cannot be read: ") + e.what());
  }
}

void apply_change(const CatalogueChange& change, std::vector<ColdFile>& files) {
  if (!change.removed.empty()) {
    const std::set<std::string_view> removed(change.removed.begin(), change.removed.end());
    std::erase_if(files, [&](const ColdFile& file) { return removed.contains(file.key); });
  }
  std::map<std::string_view, const ColdFile*> puts;  // the last of a key
  for (const ColdFile& put : change.put) puts.insert_or_assign(put.key, &put);
  for (ColdFile& file : files) {
    const auto put = puts.find(file.key);
    if (put == puts.end()) continue;
    file = *put->second;
    puts.erase(put);
  }
  for (const auto& [key, put] : puts) files.push_back(*put);
}

Result<void> MemoryCatalogue::commit(const CatalogueChange& change) {
  apply_change(change, files_);
  return {};
}

Result<std::vector<ColdFile>> FileCatalogue::load() {
  files_.clear();
  lines_ = 0;
  std::error_code unknown;
  if (!std::filesystem::exists(path_, unknown)) {
    loaded_ = true;
    return files_;
  }
  std::ifstream in(path_, std::ios::binary);
  std::ostringstream content;
  content << in.rdbuf();
  if (!in) return file_error("read", path_);
  const std::string text = std::move(content).str();
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) break;
    auto change = change_of(rest.substr(0, end));
    if (!change) {
      if (end + 1 == rest.size()) break;
      change.error().message += fmt::format(" ({}, line {})", path_, lines_ + 1);
      return std::unexpected(std::move(change.error()));
    }
    apply_change(*change, files_);
    ++lines_;
    rest.remove_prefix(end + 1);
  }
  if (!rest.empty() &&
      ::truncate(path_.c_str(), static_cast<off_t>(text.size() - rest.size())) != 0)
    return file_error("shorten", path_);
  loaded_ = true;
  return files_;
}

Result<void> FileCatalogue::rewrite() {
  CatalogueChange all;
  all.put = files_;
  if (auto ok = replace_file(path_, line_of(all), 0600); !ok) return ok;
  lines_ = 1;
  return {};
}

Result<void> FileCatalogue::commit(const CatalogueChange& change) {
  if (!loaded_) {
    if (auto loaded = load(); !loaded) return std::unexpected(std::move(loaded.error()));
  }
  constexpr std::size_t kMostLines = 64;
  if (lines_ == 0 || lines_ > kMostLines + 2 * (files_.size() + change.put.size())) {
    std::vector<ColdFile> after = files_;
    apply_change(change, after);
    files_.swap(after);
    auto done = rewrite();
    if (!done) files_.swap(after);
    return done;
  }
  const File file = File::open(path_, O_WRONLY | O_APPEND);
  if (!file) return file_error("open", path_);
  const off_t before = ::lseek(file.get(), 0, SEEK_END);
  if (!write_all(file.get(), line_of(change)) || ::fdatasync(file.get()) != 0) {
    const bool full = errno == ENOSPC || errno == EDQUOT;
    auto failure = file_error("write", path_);
    if (full) failure.error().reason = "disk_full";
    // Half a line must not stand before the next one.
    if (::ftruncate(file.get(), before) != 0) loaded_ = false;
    return failure;
  }
  apply_change(change, files_);
  ++lines_;
  return {};
}

}  // namespace asahi::memory::cold
