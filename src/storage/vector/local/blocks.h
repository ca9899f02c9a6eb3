#pragma once

#include <sys/mman.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <new>
#include <type_traits>

namespace asahi::vector {

/// Rows of `width` plain values each, in blocks that double: rows never move, and what is not yet
/// used of the last block costs address space only. Zero until written. Aligned to 64 bytes per
/// block. Threads: readers of rows that exist may run beside `reserve`, if the owner publishes new
/// rows properly.
template <class T>
class Blocks {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  explicit Blocks(std::size_t width = 1) : width_(width) {}
  ~Blocks() {
    for (std::size_t i = 0; i < used_; ++i) release(blocks_[i], bytes_of(i));
  }
  Blocks(Blocks&& other) noexcept
      : width_(other.width_), used_(other.used_), blocks_(other.blocks_) {
    other.used_ = 0;
  }
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;
  Blocks& operator=(Blocks&&) = delete;

  T* at(std::size_t row) const {
    const std::size_t place = row + kFirst;
    const auto top = static_cast<std::size_t>(std::bit_width(place)) - 1;
    return blocks_[top - kShift] + (place - (std::size_t{1} << top)) * width_;
  }
  T& operator[](std::size_t row) const { return *at(row); }

  std::size_t width() const { return width_; }

  /// How many rows stand behind one another from `row` on, at most `limit`.
  static std::size_t run(std::size_t row, std::size_t limit) {
    const std::size_t place = row + kFirst;
    const std::size_t left = (std::size_t{2} << (std::bit_width(place) - 1)) - place;
    return left < limit ? left : limit;
  }

  /// Makes room for rows [0, rows). Throws std::bad_alloc.
  void reserve(std::size_t rows) {
    while (capacity() < rows) {
      blocks_[used_] = allocate(bytes_of(used_));
      ++used_;
    }
  }

 private:
  static constexpr std::size_t kShift = 3;
  static constexpr std::size_t kFirst = std::size_t{1} << kShift;
  static constexpr std::size_t kMapped = 256 * 1024;
  static constexpr std::size_t kHuge = 8 * 1024 * 1024;

  std::size_t capacity() const { return (kFirst << used_) - kFirst; }
  std::size_t bytes_of(std::size_t block) const { return (kFirst << block) * width_ * sizeof(T); }

  static T* allocate(std::size_t bytes) {
    if (bytes < kMapped) {
      void* const memory = ::operator new(bytes, std::align_val_t{64});
      std::memset(memory, 0, bytes);
      return static_cast<T*>(memory);
    }
    void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    // Rows are visited at random: large pages save most look-ups of addresses.
    if (bytes >= kHuge) ::madvise(memory, bytes, MADV_HUGEPAGE);
    return static_cast<T*>(memory);
  }
  static void release(T* memory, std::size_t bytes) {
    if (bytes < kMapped) {
      ::operator delete(static_cast<void*>(memory), std::align_val_t{64});
    } else {
      ::munmap(static_cast<void*>(memory), bytes);
    }
  }

  std::size_t width_;
  std::size_t used_ = 0;
  std::array<T*, 30> blocks_{};  ///< 2^32 rows
};

}  // namespace asahi::vector
