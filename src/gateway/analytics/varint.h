#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace asahi::gateway::analytics {

/// Seven bits a byte, lowest first, as in protocol buffers.
inline void append_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}
/// Small numbers of either sign in few bytes.
inline void append_signed(std::string& out, std::int64_t value) {
  append_varint(out,
                (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
}

/// Reads numbers off the front of bytes that live longer. After the end, or when a number is too
/// long, `ok` is false and zeros come.
class VarintReader {
 public:
  explicit VarintReader(std::string_view bytes) : bytes_(bytes) {}
  bool ok() const { return ok_; }
  bool done() const { return bytes_.empty(); }
  std::string_view rest() const { return bytes_; }
  std::uint64_t next() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64 && !bytes_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    ok_ = false;
    return 0;
  }
  std::int64_t next_signed() {
    const std::uint64_t value = next();
    return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
  }
  /// Goes behind `count` numbers; false where so many are not there.
  bool skip(std::uint64_t count) {
    std::size_t at = 0;
    for (; count > 0 && at < bytes_.size(); ++at)
      count -= static_cast<unsigned char>(bytes_[at]) < 0x80 ? 1 : 0;
    ok_ = ok_ && count == 0;
    bytes_.remove_prefix(at);
    return ok_;
  }
  std::string_view take(std::size_t size) {
    if (size > bytes_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace asahi::gateway::analytics
