#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"

namespace asahi::memory::hot {

/// What is known of a document besides its text.
struct KeywordContext {
  std::string_view system_id, conversation_id, metadata;
  Clock::Time timestamp;
  /// The metadata parsed, where the caller has done so.
  const json::object* fields = nullptr;
};

/// What the hot tier needs of an inverted index: one per tenant, documents are the table's slots.
/// One thread changes it; others search meanwhile.
class KeywordIndex {
 public:
  struct Hit {
    std::uint32_t document;
    float score;
  };
  virtual ~KeywordIndex() = default;
  /// What `add` wants to know of a text.
  class Reading {
   public:
    virtual ~Reading() = default;
  };
  /// Works it out. Any thread, beside everything.
  virtual std::unique_ptr<Reading> read(std::string_view text,
                                        const KeywordContext& context) const = 0;
  /// The number is not in use. `reading`: of an index of this kind.
  virtual void add(std::uint32_t document, std::unique_ptr<Reading> reading) = 0;
  void add(std::uint32_t document, std::string_view text, const KeywordContext& context) {
    add(document, read(text, context));
  }
  /// Nothing happens where it is not there.
  virtual void remove(std::uint32_t document) = 0;
  /// Best first. `allowed`: a byte per document below `documents` (the others do not match); null:
  /// all may match. Returns how many match.
  virtual std::size_t search(std::string_view query, std::size_t limit, const std::uint8_t* allowed,
                             std::size_t documents, std::vector<Hit>& hits) const = 0;
  /// The query's words that `text` has, for explanations.
  virtual std::vector<std::string> matched_terms(std::string_view query,
                                                 std::string_view text) const = 0;
  virtual std::size_t bytes() const = 0;

  virtual bool contains(std::uint32_t document) const = 0;
  /// All of it as bytes with a digest; `add` and `remove` wait meanwhile, searches need not.
  virtual std::string snapshot() const = 0;
  /// Instead of what is held, before use. Errors: corrupt, too_large: nothing has changed then.
  virtual Result<void> restore(std::string_view bytes) = 0;
};

using MakeKeywordIndex = std::function<std::unique_ptr<KeywordIndex>()>;

}  // namespace asahi::memory::hot
