#include "memory/cold/listing.h"

#include <algorithm>

namespace asahi::memory::cold {

Result<void> Listing::load() {
  ASAHI_TRY(auto files, catalogue_.load());
  take(std::move(files));
  return {};
}

Result<void> Listing::refresh() {
  ASAHI_TRY(const bool changed, catalogue_.changed());
  return changed ? load() : Result<void>{};
}

void Listing::take(std::vector<ColdFile> files) {
  const std::lock_guard lock(mutex_);
  known_ = true;
  live_.clear();
  others_.clear();
  owners_.clear();
  ++taken_;
  for (const ColdFile& file : files) put(file);
}

void Listing::remove(const std::string& key) {
  others_.erase(key);
  const auto owner = owners_.find(key);
  if (owner == owners_.end()) return;
  ++versions_[owner->second.first];
  const auto files = live_.find(owner->second);
  files->second.erase(key);
  if (files->second.empty()) live_.erase(files);
  owners_.erase(owner);
}

void Listing::put(const ColdFile& file) {
  generation_ = std::max(generation_, file.generation);
  remove(file.key);
  auto shared = std::make_shared<const ColdFile>(file);
  if (file.state != FileState::kLive) {
    others_[file.key] = std::move(shared);
    return;
  }
  const Owner owner{file.tenant, file.system_id};
  live_[owner][file.key] = std::move(shared);
  owners_.emplace(file.key, owner);
  ++versions_[file.tenant];
}

Result<void> Listing::commit(const CatalogueChange& change) {
  if (auto ok = catalogue_.commit(change); !ok) return ok;
  const std::lock_guard lock(mutex_);
  for (const std::string& key : change.removed) remove(key);
  for (const ColdFile& file : change.put) put(file);
  return {};
}

std::vector<Listing::File> Listing::live(const Owner& owner) const {
  const std::lock_guard lock(mutex_);
  std::vector<File> out;
  const auto found = live_.find(owner);
  if (found == live_.end()) return out;
  for (const auto& [key, file] : found->second) out.push_back(file);
  return out;
}

std::vector<Listing::File> Listing::live(const std::string& tenant) const {
  const std::lock_guard lock(mutex_);
  std::vector<File> out;
  for (auto at = live_.lower_bound({tenant, ""});
       at != live_.end() && (tenant.empty() || at->first.first == tenant); ++at) {
    for (const auto& [key, file] : at->second) out.push_back(file);
  }
  return out;
}

std::vector<Listing::File> Listing::others() const {
  const std::lock_guard lock(mutex_);
  std::vector<File> out;
  for (const auto& [key, file] : others_) out.push_back(file);
  return out;
}

Listing::File Listing::still_live(const ColdFile& file) const {
  const std::lock_guard lock(mutex_);
  const auto files = live_.find({file.tenant, file.system_id});
  if (files == live_.end()) return nullptr;
  const auto found = files->second.find(file.key);
  if (found == files->second.end() || found->second->generation != file.generation) return nullptr;
  return found->second;
}

bool Listing::has(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  return owners_.contains(key) || others_.contains(key);
}

std::uint64_t Listing::next_generation() {
  const std::lock_guard lock(mutex_);
  return ++generation_;
}

std::uint64_t Listing::version(const std::string& tenant) const {
  const std::lock_guard lock(mutex_);
  const auto found = versions_.find(tenant);
  return taken_ + (found == versions_.end() ? 0 : found->second);
}

}  // namespace asahi::memory::cold
