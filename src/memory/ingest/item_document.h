#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace asahi::memory {

/// One item of an upload, parsed. The numbers of its vector, nine tenths of most items' text, are
/// read straight into floats: the tree has null in their place.
class ItemDocument {
 public:
  /// Errors: those of JsonDocument::parse.
  static Result<ItemDocument> parse(std::string_view text);

  const json::value& root() const { return document_->root(); }
  /// What stands under "embedding", as written; null: look into the tree.
  const std::vector<float>* numbers() const { return numbers_ ? &*numbers_ : nullptr; }

 private:
  std::shared_ptr<const JsonDocument> document_;
  std::optional<std::vector<float>> numbers_;
};

/// Where an object's text has `"embedding": [numbers]` among its own members, once: the list's
/// bytes as [begin, end), and its numbers. Nothing: it has not, or is not as plain as that (escapes
/// in names, other values in the list, numbers that no float holds); then the whole text is for a
/// parser to judge. Numbers are read as JSON says (RFC 8259 §6), rounded to the nearest double
/// (Clinger 1990, exact while digits and power of ten are exact doubles), then to float.
struct VectorText {
  std::size_t begin = 0, end = 0;
  std::vector<float> numbers;
};
std::optional<VectorText> find_vector(std::string_view object);

}  // namespace asahi::memory
