#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "storage/vector/index.h"

namespace asahi::vector {

/// The names of metadata fields as small numbers. Names are never taken out. One thread adds at a
/// time; the others may read meanwhile.
class FieldNames {
 public:
  std::optional<std::uint8_t> find(std::string_view name) const;
  /// Errors: too_large beyond 250 names.
  Result<std::uint8_t> add(std::string_view name);
  const std::string& at(std::uint8_t number) const { return names_[number]; }
  std::size_t size() const { return count_.load(std::memory_order_acquire); }

 private:
  static constexpr std::size_t kMost = 250;
  std::array<std::string, kMost> names_;
  std::atomic<std::size_t> count_{0};
};

/// An item's id and metadata in one piece of memory.
using Payload = std::unique_ptr<char[]>;

/// Errors: too_large (too many names).
Result<Payload> pack_payload(std::string_view id, const Metadata& metadata, FieldNames& names);
/// Takes over bytes from a file. Errors: corrupt when they are not what pack_payload makes with
/// `names` names.
Result<Payload> read_payload(std::string_view bytes, const FieldNames& names);

std::string_view payload_id(const char* payload);
std::string_view payload_bytes(const char* payload);
Metadata payload_metadata(const char* payload, const FieldNames& names);

}  // namespace asahi::vector
