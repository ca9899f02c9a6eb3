#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace asahi::object {

/// An element of the XML that S3 speaks: names without prefix, text or children. Attributes are
/// left out.
struct XmlElement {
  std::string name;
  std::string text;  ///< directly inside, entities resolved
  std::vector<XmlElement> children;

  /// The first child of that name; null: none.
  const XmlElement* child(std::string_view wanted) const;
  /// Its text; empty: none.
  std::string_view text_of(std::string_view wanted) const;
};

/// Reads a whole document. No document types, no entities but the five and characters by number;
/// at most 16 levels and 50,000 elements. Errors: corrupt, also for one that is cut.
Result<XmlElement> parse_xml(std::string_view text);

}  // namespace asahi::object
