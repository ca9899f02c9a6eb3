#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "dataset.h"

namespace asahi::bench {

/// An index in this process under test.
class Contestant {
 public:
  virtual ~Contestant() = default;
  virtual std::string_view name() const = 0;
  /// False: `effort` means nothing to it, it compares all.
  virtual bool has_graph() const { return true; }
  virtual bool can_filter() const { return true; }
  virtual void build(const Matrix& vectors) = 0;
  /// The ten nearest of those whose number is a multiple of `modulus`, best first. 1, 10 or 100.
  virtual Ids search(std::span<const float> query, std::size_t effort, std::uint32_t modulus) = 0;
};

/// hnswlib with floats, M 16, ef_construction 128; null where it is not installed.
std::unique_ptr<Contestant> make_hnswlib(std::size_t width, std::size_t count);
/// sqlite-vec in an SQLite in memory; null where `library` is not there or cannot be loaded.
std::unique_ptr<Contestant> make_sqlite_vec(const std::string& library, std::size_t width);

}  // namespace asahi::bench
