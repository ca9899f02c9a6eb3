#include "storage/object/replica.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "base/json.h"
#include "base/sha256_stream.h"

namespace asahi::object {
namespace {

constexpr std::size_t kMaxRecord = 16'384;
/// Whole objects up to this size are looked at before anybody gets them.
constexpr std::uint64_t kCheckedFirst = 8ULL << 20;

Result<void> nowhere(std::string_view) { return {}; }

std::string digest(std::string_view key) { return to_hex(sha256(key)); }

std::unexpected<Error> differs(const std::string& where, const std::string& key) {
  return fail(Errc::kCorrupt,
              fmt::format("the copy of '{}' in {} is not what was copied", key, where));
}

}  // namespace

// Names by sums: of any key one of the same length, and no key is the folder of another.
std::string erasure_key(std::string_view key) {
  return fmt::format("{}/erased/{}", kReplicationFolder, digest(key));
}

std::string record_key(std::string_view key) {
  return fmt::format("{}/copies/{}", kReplicationFolder, digest(key));
}

std::string record_text(const CopyRecord& record) {
  return json::serialize(json::object{{"key", record.key},
                                      {"sha256", record.sha256},
                                      {"etag", record.etag},
                                      {"size", record.size}});
}

Result<CopyRecord> parse_record(std::string_view text) {
  boost::system::error_code error;
  const json::value parsed = json::parse(text, error);
  const auto wrong = [] { return fail(Errc::kCorrupt, "the record of a copy cannot be read"); };
  if (error || !parsed.is_object()) return wrong();
  const json::object& body = parsed.get_object();
  CopyRecord record;
  for (const auto& [name, field] :
       {std::pair{"key", &record.key}, std::pair{"sha256", &record.sha256},
        std::pair{"etag", &record.etag}}) {
    const json::value* const value = body.if_contains(name);
    if (value == nullptr || !value->is_string()) return wrong();
    *field = value->get_string();
  }
  const json::value* const size = body.if_contains("size");
  if (size == nullptr || !size->is_number()) return wrong();
  boost::system::error_code range;
  record.size = size->to_number<std::uint64_t>(range);
  if (range) return wrong();
  return record;
}

void WaitingKeys::add(const std::string& key, Clock::Steady now) {
  const std::scoped_lock lock(mutex_);
  if (since_.contains(key)) return;
  if (since_.size() >= most_) {
    if (!lost_) lost_ = now;
    last_lost_ = now;
    return;
  }
  since_.emplace(key, now);
  order_.push_back(key);
}

std::optional<WaitingKeys::Key> WaitingKeys::take() {
  const std::scoped_lock lock(mutex_);
  if (order_.empty()) return std::nullopt;
  Key next{.key = std::move(order_.front()), .since = {}};
  order_.pop_front();
  const auto at = since_.find(next.key);
  next.since = at->second;
  since_.erase(at);
  return next;
}

void WaitingKeys::put_back(Key key) {
  const std::scoped_lock lock(mutex_);
  // It may have changed once more meanwhile.
  const auto [at, first] = since_.try_emplace(key.key, key.since);
  at->second = std::min(at->second, key.since);
  if (first) order_.push_front(std::move(key.key));
}

std::size_t WaitingKeys::size() const {
  const std::scoped_lock lock(mutex_);
  return since_.size();
}

std::optional<Clock::Steady> WaitingKeys::since() const {
  const std::scoped_lock lock(mutex_);
  if (order_.empty()) return std::nullopt;
  return since_.at(order_.front());
}

std::optional<Clock::Steady> WaitingKeys::lost() const {
  const std::scoped_lock lock(mutex_);
  return lost_;
}

void WaitingKeys::compared(Clock::Steady when) {
  const std::scoped_lock lock(mutex_);
  if (!last_lost_) return;
  if (*last_lost_ < when) {
    lost_ = last_lost_ = std::nullopt;
  } else {
    lost_ = std::max(*lost_, when);
  }
}

Result<std::optional<CopyRecord>> Replica::record(const std::string& key) {
  auto text = store_->get(record_key(key), kMaxRecord);
  if (!text && text.error().code == Errc::kNotFound) return std::nullopt;
  if (!text) return std::unexpected(std::move(text.error()));
  ASAHI_TRY(CopyRecord record, parse_record(*text));
  if (record.key != key) return fail(Errc::kCorrupt, "the record of a copy is another one's");
  return record;
}

Result<bool> Replica::copy(ObjectStore& source, const ObjectInfo& object) {
  const std::string& key = object.key;
  auto known = record(key);
  if (!known && known.error().code != Errc::kCorrupt) return std::unexpected(known.error());
  if (known && *known && (*known)->etag == object.etag) {
    ASAHI_TRY(const auto there, store_->head(key));
    if (there && there->size == object.size) return false;
  }
  ASAHI_TRY(const auto upload, store_->begin_upload(key));
  Sha256Stream sum;
  std::uint64_t size = 0;
  if (object.size > 0) {
    const Sink sink = [&](std::string_view bytes) {
      sum.add(bytes);
      size += bytes.size();
      return upload->write(bytes);
    };
    auto got = source.read(key, sink, {.only_if_etag = object.etag});
    if (!got) return std::unexpected(std::move(got.error()));
  }
  if (size != object.size) return fail(Errc::kConflict, "the object changed while it was copied");
  const CopyRecord made{
      .key = key, .sha256 = to_hex(sum.finish()), .etag = object.etag, .size = size};
  if (auto put = store_->put(record_key(key), record_text(made)); !put)
    return std::unexpected(std::move(put.error()));
  if (auto put = upload->finish(); !put) return std::unexpected(std::move(put.error()));
  if (auto same = read(key, nowhere, {}); !same) return std::unexpected(std::move(same.error()));
  return true;
}

Result<void> Replica::erase(const std::string& key) {
  // The record last: what is half erased is found again by the object's absence.
  if (auto done = store_->erase(key); !done) return done;
  return store_->erase(record_key(key));
}

Result<bool> Replica::has(const std::string& key) {
  for (const std::string& each : {key, record_key(key)}) {
    ASAHI_TRY(const auto there, store_->head(each));
    if (there) return true;
  }
  return false;
}

Result<ObjectInfo> Replica::read(const std::string& key, const Sink& sink,
                                 const ReadOptions& options) {
  ASAHI_TRY(const auto known, record(key));
  if (!known) {
    return fail(Errc::kNotFound,
                fmt::format("{} has no copy of '{}' with its sum", store_->where(), key));
  }
  if (!options.only_if_etag.empty() && options.only_if_etag != known->etag) {
    return fail(Errc::kConflict,
                fmt::format("{} has a copy of another '{}'", store_->where(), key));
  }
  const bool whole = options.offset == 0 && (!options.length || *options.length >= known->size);
  Result<ObjectInfo> got;
  if (whole && known->size <= kCheckedFirst) {
    ASAHI_TRY(const auto there, store_->head(key));
    if (!there) return fail(Errc::kNotFound, fmt::format("{} has no '{}'", store_->where(), key));
    std::string bytes;
    if (there->size != known->size) return differs(store_->where(), key);
    if (known->size > 0) {
      ASAHI_TRY(bytes, store_->get(key, known->size));
    }
    if (to_hex(sha256(bytes)) != known->sha256) return differs(store_->where(), key);
    if (auto taken = sink(bytes); !taken) return std::unexpected(std::move(taken.error()));
    got = *there;
  } else {
    Sha256Stream sum;
    const Sink summed = [&](std::string_view bytes) {
      if (whole) sum.add(bytes);
      return sink(bytes);
    };
    got = store_->read(key, summed,
                       {.offset = options.offset, .length = options.length, .only_if_etag = {}});
    if (got && (got->size != known->size || (whole && to_hex(sum.finish()) != known->sha256)))
      return differs(store_->where(), key);
  }
  if (got) got->etag = known->etag;
  return got;
}

Result<std::optional<ObjectInfo>> Replica::head(const std::string& key) {
  ASAHI_TRY(const auto known, record(key));
  if (!known) return std::nullopt;
  ASAHI_TRY(auto there, store_->head(key));
  if (there) there->etag = known->etag;
  return there;
}

}  // namespace asahi::object
