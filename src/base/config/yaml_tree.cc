#include "base/config/yaml_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <set>
#include <sstream>

#include "base/config/loader.h"
#include "base/config/scalars.h"
#include "base/utf8.h"

namespace asahi::config {
namespace {

constexpr std::size_t kMaxNodes = 100'000;

Place place_of(const YAML::Mark& mark) {
  return {.line = mark.line < 0 ? 1 : mark.line + 1,
          .column = mark.column < 0 ? 1 : mark.column + 1};
}

/// Leaves yaml-cpp's parser from inside one of its callbacks; never leaves this file.
struct Refusal {
  Errc code;
  Place place;
  std::string text;
};

/// Builds the tree from the parser's events, so that what we refuse is refused before anything is
/// built from it.
class TreeBuilder final : public YAML::EventHandler {
 public:
  YamlNode take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (std::exchange(started_, true))
      refuse(mark, "a configuration is one document: remove the second '---'");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    check_plain_features(mark, "?", anchor);
    if (expects_key()) refuse(mark, "a key is empty");
    add(mark, YamlNode::Kind::kNull);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse(mark, "aliases (*name) are not supported: write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check_plain_features(mark, tag, anchor);
    if (expects_key()) {
      Level& level = levels_.back();
      if (!level.keys.insert(value).second)
        refuse(mark, fmt::format("the key '{}' is given twice", shown(value)));
      level.node->members.push_back({.key = value, .place = place_of(mark), .value = {}});
      level.has_key = true;
      return;
    }
    add(mark, tag == "!" ? YamlNode::Kind::kQuoted : YamlNode::Kind::kPlain).text = value;
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::kList);
  }
  void OnSequenceEnd() override { levels_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::kMap);
  }
  void OnMapEnd() override { levels_.pop_back(); }
  void OnAnchor(const YAML::Mark& mark, const std::string&) override {
    refuse(mark, "anchors (&name) are not supported: write the value out");
  }

 private:
  // The pointed-at node stays where it is: its parent's vector grows only when this level is closed
  // again.
  struct Level {
    YamlNode* node;
    std::set<std::string, std::less<>> keys;
    bool has_key = false;
  };

  [[noreturn]] void refuse(const YAML::Mark& mark, std::string text,
                           Errc code = Errc::kInvalidArgument) {
    throw Refusal{code, place_of(mark), std::move(text)};
  }
  static std::string shown(const std::string& text) { return mended_utf8(text, 80); }

  void check_plain_features(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor)
      refuse(mark, "anchors (&name) are not supported: write the value out");
    if (!tag.empty() && tag != "?" && tag != "!") {
      refuse(mark, fmt::format("tags ({}) are not supported: quote text, leave numbers plain",
                               shown(tag)));
    }
    if (++nodes_ > kMaxNodes)
      refuse(mark, fmt::format("more than {} values", kMaxNodes), Errc::kTooLarge);
  }
  bool expects_key() const {
    return !levels_.empty() && levels_.back().node->kind == YamlNode::Kind::kMap &&
           !levels_.back().has_key;
  }
  YamlNode& add(const YAML::Mark& mark, YamlNode::Kind kind) {
    YamlNode* node = &root_;
    if (!levels_.empty()) {
      Level& level = levels_.back();
      if (level.node->kind == YamlNode::Kind::kMap) {
        node = &level.node->members.back().value;
        level.has_key = false;
      } else {
        node = &level.node->items.emplace_back();
      }
    }
    node->kind = kind;
    node->place = place_of(mark);
    return *node;
  }
  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            YamlNode::Kind kind) {
    check_plain_features(mark, tag, anchor);
    if (expects_key()) refuse(mark, "a key must be text");
    if (levels_.size() >= kMaxYamlDepth) {
      refuse(mark, fmt::format("nested deeper than {} levels", kMaxYamlDepth), Errc::kTooLarge);
    }
    levels_.push_back({.node = &add(mark, kind), .keys = {}});
  }

  YamlNode root_;
  std::vector<Level> levels_;
  std::size_t nodes_ = 0;
  bool started_ = false;
};

json::value typed_scalar(const YamlNode& node, bool& representable) {
  if (node.kind == YamlNode::Kind::kQuoted) return json::value(node.text);
  if (const auto flag = read_core_bool(node.text)) return *flag;
  if (const IntegerText integer = read_integer(node.text);
      integer.kind == IntegerText::Kind::kInteger) {
    return integer.value;
  }
  if (const auto number = read_number(node.text)) return *number;
  std::string_view bare = node.text;
  if (bare.starts_with('+') || bare.starts_with('-')) bare.remove_prefix(1);
  for (const std::string_view special : {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"}) {
    if (bare == special) representable = false;
  }
  return json::value(node.text);
}

Result<json::value> to_json(const YamlNode& node, const std::string& name) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return json::value(nullptr);
    case YamlNode::Kind::kPlain:
    case YamlNode::Kind::kQuoted: {
      bool representable = true;
      json::value value = typed_scalar(node, representable);
      if (!representable) {
        return fail(Errc::kInvalidArgument,
                    fmt::format("{}:{}:{}: '{}' is not a finite number", name, node.place.line,
                                node.place.column, node.text));
      }
      return value;
    }
    case YamlNode::Kind::kList: {
      json::array list;
      for (const YamlNode& item : node.items) {
        ASAHI_TRY(json::value value, to_json(item, name));
        list.push_back(std::move(value));
      }
      return json::value(std::move(list));
    }
    case YamlNode::Kind::kMap: {
      json::object map;
      for (const YamlNode::Member& member : node.members) {
        ASAHI_TRY(json::value value, to_json(member.value, name));
        map[member.key] = std::move(value);
      }
      return json::value(std::move(map));
    }
  }
  return json::value(nullptr);
}

}  // namespace

const YamlNode::Member* YamlNode::find(std::string_view key) const {
  const auto found = std::ranges::find(members, key, &Member::key);
  return found == members.end() ? nullptr : &*found;
}

Result<YamlNode> parse_yaml_tree(std::string_view text, const std::string& name, Place* place) {
  const auto refuse = [&](Errc code, Place at, std::string_view why) {
    if (place != nullptr) *place = at;
    return fail(code, fmt::format("{}:{}:{}: {}", name, at.line, at.column, why));
  };
  if (text.size() > kMaxConfigBytes) {
    return refuse(Errc::kTooLarge, {}, fmt::format("larger than {} bytes", kMaxConfigBytes));
  }
  // yaml-cpp would guess UTF-16 or UTF-32 from zero bytes and byte-order marks.
  if (!is_utf8(text) || text.find('\0') != std::string_view::npos) {
    return refuse(Errc::kInvalidArgument, {}, "not UTF-8 text");
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    TreeBuilder builder;
    while (parser.HandleNextDocument(builder)) {
    }
    return builder.take();
  } catch (const Refusal& refusal) {
    return refuse(refusal.code, refusal.place, refusal.text);
  } catch (const YAML::Exception& error) {
    return refuse(Errc::kInvalidArgument, place_of(error.mark), error.msg);
  } catch (const std::exception& error) {
    return refuse(Errc::kInvalidArgument, {}, error.what());
  }
}

Result<std::string> read_config_file(const std::string& path) {
  const auto close = [](std::FILE* file) { std::fclose(file); };
  const std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(path.c_str(), "rbe"), close);
  const auto refuse = [&](int number) {
    return fail(number == ENOENT || number == ENOTDIR ? Errc::kNotFound : Errc::kInvalidArgument,
                fmt::format("{} cannot be read: {}", path, std::strerror(number)));
  };
  if (file == nullptr) return refuse(errno);
  std::string text(kMaxConfigBytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return refuse(errno);
  if (text.size() > kMaxConfigBytes) {
    return fail(Errc::kTooLarge, fmt::format("{} is larger than {} bytes", path, kMaxConfigBytes));
  }
  return text;
}

Result<json::value> parse_yaml(std::string_view text, const std::string& name) {
  ASAHI_TRY(const YamlNode tree, parse_yaml_tree(text, name));
  return to_json(tree, name);
}

Result<json::value> read_yaml(const std::string& path) {
  ASAHI_TRY(const std::string text, read_config_file(path));
  return parse_yaml(text, path);
}

}  // namespace asahi::config
