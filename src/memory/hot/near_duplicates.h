#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "memory/model/record.h"

namespace asahi::memory::hot {

/// What the hot tier needs to find memories that nearly repeat others: one per tenant, numbers are
/// the table's slots. One thread at a time.
class NearDuplicates {
 public:
  /// A memory's text and its fingerprint.
  struct Text {
    std::string_view content;
    const Fingerprint& fingerprint;
  };
  virtual ~NearDuplicates() = default;
  /// About so many are to come: an empty one need not grow under way.
  virtual void reserve(std::size_t count) = 0;
  virtual void add(std::uint32_t slot, const Fingerprint& fingerprint) = 0;
  /// With the fingerprint that it was added with.
  virtual void remove(std::uint32_t slot, const Fingerprint& fingerprint) = 0;
  /// Slots that may reach the Jaccard index `threshold`, each once, a bounded number.
  virtual void candidates(const Fingerprint& fingerprint, double threshold,
                          std::vector<std::uint32_t>& out) const = 0;
  /// The Jaccard index of two memories, as exactly as can be had.
  virtual double similarity(const Text& a, const Text& b) const = 0;
  virtual std::size_t bytes() const = 0;
};

using MakeNearDuplicates = std::function<std::unique_ptr<NearDuplicates>()>;

}  // namespace asahi::memory::hot
