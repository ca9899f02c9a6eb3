#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace asahi::config {

/// Where something stands in a file; both count from 1.
struct Place {
  int line = 1;
  int column = 1;
};

/// A YAML document that still knows where each part stood and which scalars were quoted, so that
/// faults can name a line and typing can follow the key that reads the value.
struct YamlNode {
  enum class Kind { kNull, kPlain, kQuoted, kList, kMap };
  struct Member;

  Kind kind = Kind::kNull;
  Place place;
  std::string text;  ///< of a scalar
  std::vector<YamlNode> items;
  std::vector<Member> members;

  bool is_scalar() const { return kind == Kind::kPlain || kind == Kind::kQuoted; }
  const Member* find(std::string_view key) const;
};

struct YamlNode::Member {
  std::string key;
  Place place;
  YamlNode value;
};

inline constexpr std::size_t kMaxConfigBytes = 1024 * 1024;
inline constexpr std::size_t kMaxYamlDepth = 32;

/// Reads one YAML document of at most 1 MiB, 32 levels and 100,000 nodes. Refuses anchors, aliases,
/// tags, duplicate keys, keys that are not text and further documents. Errors: invalid_argument,
/// too_large; the text begins with `name`:line:column, and `place` (when given) gets the position.
/// An empty document is a null node.
Result<YamlNode> parse_yaml_tree(std::string_view text, const std::string& name,
                                 Place* place = nullptr);

/// Reads a file of at most `kMaxConfigBytes`. Errors: not_found, too_large, invalid_argument
/// (cannot be read).
Result<std::string> read_config_file(const std::string& path);

}  // namespace asahi::config
