#include "identity/secrets/own_keys.h"

namespace asahi::identity {

std::shared_ptr<const OwnKeys::Directory> OwnKeys::directory() const {
  const std::lock_guard lock(mutex_);
  return directory_;
}

std::optional<std::shared_ptr<const OwnKeys::Keys>> OwnKeys::try_get(
    const Principal& caller) const {
  const std::lock_guard lock(mutex_);
  const bool none = directory_ == nullptr ? caller.kind == Principal::Kind::kAnonymous
                                          : !directory_->contains(caller.org_id);
  if (!none) return std::nullopt;
  return std::shared_ptr<const Keys>();
}

Task<std::shared_ptr<const OwnKeys::Keys>> OwnKeys::get(std::string org_id) {
  auto known = directory();
  if (known == nullptr) {
    if (auto read = co_await refresh(); !read) co_return std::unexpected(std::move(read.error()));
    known = directory();
  }
  const auto row = known->find(org_id);
  if (row == known->end()) co_return std::shared_ptr<const Keys>();
  auto keys = std::make_shared<Keys>();
  for (const std::string& vendor : row->second) {
    ASAHI_CO_TRY(auto key, co_await keys_.get(org_id, vendor));
    if (key) keys->emplace(vendor, *std::move(key));
  }
  co_return keys;
}

Task<void> OwnKeys::refresh() {
  const std::uint64_t number = [this] {
    const std::lock_guard lock(mutex_);
    return ++begun_;
  }();
  ASAHI_CO_TRY(const auto rows,
               co_await db_.query({"SELECT org_id, vendor FROM provider_keys WHERE active", {}}));
  auto read = std::make_shared<Directory>();
  for (std::size_t i = 0; i < rows.size(); ++i)
    (*read)[rows.text(i, "org_id")].push_back(rows.text(i, "vendor"));
  const std::lock_guard lock(mutex_);
  if (number > taken_) {
    taken_ = number;
    directory_ = std::move(read);
  }
  co_return Result<void>{};
}

void OwnKeys::forget(std::string_view org_id) {
  if (org_id.empty()) {
    keys_.forget_all();
    return;
  }
  const auto known = directory();
  if (known == nullptr) return;
  const auto row = known->find(org_id);
  if (row == known->end()) return;
  for (const std::string& vendor : row->second) keys_.forget(row->first, vendor);
}

}  // namespace asahi::identity
