#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/result.h"

namespace asahi::vector {

/// Writes a file of numbered blocks, each with a digest, and puts it in the place of the old one
/// only when it is whole and on the disk. Whatever fails first is what `finish` reports.
class CheckedWriter {
 public:
  explicit CheckedWriter(std::string path);
  /// Without `finish` nothing has changed.
  ~CheckedWriter();
  CheckedWriter(const CheckedWriter&) = delete;
  CheckedWriter& operator=(const CheckedWriter&) = delete;

  void put(const void* data, std::size_t size);
  template <class T>
  void put(T value) {
    static_assert(std::is_trivially_copyable_v<T>);
    put(&value, sizeof(T));
  }
  /// A length and the text.
  void text(std::string_view bytes) {
    put(static_cast<std::uint32_t>(bytes.size()));
    put(bytes.data(), bytes.size());
  }
  /// Errors: unavailable (disk full, folder gone), with the system's words.
  Result<void> finish();

 private:
  void flush(bool last);
  void write_all(std::string_view bytes);
  void failed(std::string_view what);

  std::string path_, temporary_;
  int file_ = -1;
  std::uint64_t blocks_ = 0;
  std::string block_;
  Result<void> state_;
};

/// Reads such a file from memory. After the first fault every read fails.
class CheckedReader {
 public:
  explicit CheckedReader(std::string_view bytes);

  /// False: the file is cut, changed or wrongly made; `to` is then unspecified.
  [[nodiscard]] bool get(void* to, std::size_t size);
  template <class T>
  [[nodiscard]] bool get(T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    return get(&value, sizeof(T));
  }
  [[nodiscard]] bool text(std::string& out, std::size_t most);
  /// True when all of it has been read and nothing is missing.
  [[nodiscard]] bool at_end();

 private:
  bool next_block();

  std::string_view rest_;   ///< of the file, behind the block
  std::string_view block_;  ///< what is left of the block
  std::uint64_t blocks_ = 0;
  bool last_ = false;
  bool bad_ = false;
};

/// `contents` as such a file's bytes.
std::string checked_bytes(std::string_view contents);

/// A file mapped into memory for reading.
class MappedFile {
 public:
  /// Errors: not_found, unavailable.
  static Result<MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept : data_(other.data_), size_(other.size_) {
    other.data_ = nullptr;
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  MappedFile& operator=(MappedFile&&) = delete;

  std::string_view bytes() const { return {static_cast<const char*>(data_), size_}; }

 private:
  MappedFile() = default;
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace asahi::vector
