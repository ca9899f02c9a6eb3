#pragma once

#include <cstdint>
#include <string_view>

namespace asahi::memory::hot {

/// The calls that a full or failing disk refuses, so that tests can refuse them.
class Disk {
 public:
  virtual ~Disk() = default;
  /// All of `bytes` at `offset`. False: errno says why; a part may be written.
  virtual bool write_at(int file, std::string_view bytes, std::uint64_t offset);
  /// fdatasync(2).
  virtual bool sync(int file);
};

/// The machine's.
Disk& real_disk();

}  // namespace asahi::memory::hot
