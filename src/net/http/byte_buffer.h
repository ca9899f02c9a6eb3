#pragma once

#include <cstring>
#include <memory>
#include <string_view>

namespace asahi::http {

/// Bytes read from a socket and not parsed yet: filled at the back, taken from the front.
class ByteBuffer {
 public:
  std::string_view view() const { return {data_.get() + begin_, end_ - begin_}; }
  char* front() { return data_.get() + begin_; }
  bool empty() const { return begin_ == end_; }
  std::size_t size() const { return end_ - begin_; }
  std::size_t capacity() const { return capacity_; }
  void take(std::size_t bytes) {
    begin_ += bytes;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  /// Room behind the bytes: moves them to the front, and grows to `capacity`, where needed.
  /// Invalidates views.
  void make_room(std::size_t capacity) {
    if (capacity > capacity_) {
      auto larger = std::make_unique_for_overwrite<char[]>(capacity);
      if (!empty()) std::memcpy(larger.get(), data_.get() + begin_, size());
      data_ = std::move(larger);
      capacity_ = capacity;
    } else if (begin_ > 0) {
      std::memmove(data_.get(), data_.get() + begin_, size());
    } else {
      return;
    }
    end_ -= begin_;
    begin_ = 0;
  }
  char* room() { return data_.get() + end_; }
  std::size_t room_size() const { return capacity_ - end_; }
  void filled(std::size_t bytes) { end_ += bytes; }
  /// Gives the memory back; only when empty.
  void release() {
    data_.reset();
    begin_ = end_ = capacity_ = 0;
  }

 private:
  std::unique_ptr<char[]> data_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace asahi::http
