#include "memory/cold/reader.h"

#include <fmt/format.h>

#include <utility>

#include "base/sha256_stream.h"

namespace asahi::memory::cold {

namespace {

namespace pq = columnar::parquet;

constexpr std::uint64_t kLayoutBytes = 256;  ///< of a column of a row group, about

/// An object that is read by ranges.
class ObjectSource final : public pq::Source {
 public:
  ObjectSource(object::ObjectStore& objects, std::string key, std::uint64_t size)
      : objects_(objects), key_(std::move(key)), size_(size) {}
  std::uint64_t size() const override { return size_; }
  Result<std::string> read(std::uint64_t offset, std::uint64_t length) override {
    if (length == 0) return std::string();
    auto bytes = objects_.get(key_, length, {.offset = offset, .length = length});
    if (bytes ? bytes->size() != length : bytes.error().code == Errc::kInvalidArgument)
      return fail(Errc::kCorrupt, fmt::format("{} is shorter than its catalogue says", key_));
    return bytes;
  }

 private:
  object::ObjectStore& objects_;
  const std::string key_;
  const std::uint64_t size_;
};

std::unexpected<Error> named(const ColdFile& file, Error error) {
  error.message = fmt::format("cold file {}: {}", file.key, error.message);
  return std::unexpected(std::move(error));
}

}  // namespace

std::string unique_name(const ColdFile& file) {
  return fmt::format("{}#{}", file.key, file.generation);
}

std::optional<Reader::Cached> Reader::cached(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = index_.find(name);
  if (found == index_.end()) return std::nullopt;
  cache_.splice(cache_.begin(), cache_, found->second);
  return cache_.front();
}

void Reader::cache(Cached entry) {
  const std::lock_guard lock(mutex_);
  if (index_.contains(entry.name) || entry.size > cache_bytes_) return;
  size_ += entry.size;
  cache_.push_front(std::move(entry));
  index_[cache_.front().name] = cache_.begin();
  while (size_ > cache_bytes_) {
    size_ -= cache_.back().size;
    index_.erase(cache_.back().name);
    cache_.pop_back();
  }
}

Result<RowFile> Reader::open_with(const ColdFile& file, std::shared_ptr<const std::string> bytes) {
  std::unique_ptr<pq::Source> source;
  if (bytes != nullptr) {
    source = std::make_unique<pq::MemorySource>(bytes);
  } else {
    source = std::make_unique<ObjectSource>(objects_, file.key, file.bytes);
  }
  auto opened = RowFile::open(std::move(source));
  if (!opened) return named(file, std::move(opened.error()));
  if (opened->layout()->rows != file.rows)
    return named(file, fail(Errc::kCorrupt, "it has other rows than the catalogue says").error());
  Cached entry{.name = unique_name(file), .bytes = bytes, .layout = opened->layout()};
  entry.size = kLayoutBytes * entry.layout->groups.size() * kColumns;
  if (bytes != nullptr) entry.size += bytes->size();
  cache(std::move(entry));
  return opened;
}

Result<RowFile> Reader::open(const ColdFile& file) {
  if (const auto known = cached(unique_name(file))) {
    std::unique_ptr<pq::Source> source;
    if (known->bytes != nullptr) {
      source = std::make_unique<pq::MemorySource>(known->bytes);
    } else {
      source = std::make_unique<ObjectSource>(objects_, file.key, file.bytes);
    }
    auto opened = RowFile::open(std::move(source), known->layout);
    if (!opened) return named(file, std::move(opened.error()));
    return opened;
  }
  if (file.bytes > whole_bytes_) return open_with(file, nullptr);
  auto bytes = objects_.get(file.key, file.bytes);
  if (!bytes) {
    if (bytes.error().code == Errc::kTooLarge) bytes.error().code = Errc::kCorrupt;
    return named(file, std::move(bytes.error()));
  }
  if (sha256(*bytes) != file.sha256)
    return named(file, fail(Errc::kCorrupt, "its SHA-256 is not the catalogue's").error());
  return open_with(file, std::make_shared<const std::string>(*std::move(bytes)));
}

Result<void> Reader::verify(const ColdFile& file) {
  // Ageing reads small files next, to compare each row: they are here already.
  const bool keeps = file.bytes <= whole_bytes_;
  auto bytes = std::make_shared<std::string>();
  Sha256Stream sum;
  auto read = objects_.read(file.key, [&](std::string_view part) -> Result<void> {
    sum.add(part);
    if (keeps && bytes->size() + part.size() <= file.bytes) *bytes += part;
    return {};
  });
  if (!read) return std::unexpected(std::move(read.error()));
  if (sum.finish() != file.sha256)
    return fail(Errc::kCorrupt,
                fmt::format("cold file {} reads back otherwise than it was written", file.key));
  if (!keeps) return {};
  auto opened = open_with(file, std::move(bytes));
  return opened ? Result<void>{} : std::unexpected(std::move(opened.error()));
}

}  // namespace asahi::memory::cold
