#include "storage/object/keys.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"

namespace asahi::object {
namespace {

constexpr std::size_t kLongest = 1'024, kLongestPart = 255;

std::unexpected<Error> refuse(std::string_view what, std::string_view rule) {
  return fail(Errc::kInvalidArgument, fmt::format("the {} {}", what, rule));
}

Result<void> check_text(std::string_view text, std::string_view what) {
  if (text.size() > kLongest) return refuse(what, fmt::format("is longer than {} bytes", kLongest));
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) return refuse(what, "contains a control character");
  }
  if (!is_utf8(text)) return refuse(what, "is no UTF-8 text");
  return {};
}

Result<void> check_part(std::string_view part, std::string_view what) {
  if (part.empty()) return refuse(what, "has an empty part: '/' at an end, or two of them");
  if (part.size() > kLongestPart)
    return refuse(what, fmt::format("has a part longer than {} bytes", kLongestPart));
  if (part == "." || part == "..") return refuse(what, fmt::format("has a part '{}'", part));
  if (part.starts_with(kOwnNames))
    return refuse(what, fmt::format("has a part that begins with '{}'", kOwnNames));
  return {};
}

}  // namespace

Result<void> check_key(std::string_view key) {
  if (key.empty()) return refuse("key", "is empty");
  if (auto text = check_text(key, "key"); !text) return text;
  for (std::size_t begin = 0;;) {
    const std::size_t end = std::min(key.find('/', begin), key.size());
    if (auto part = check_part(key.substr(begin, end - begin), "key"); !part) return part;
    if (end == key.size()) return {};
    begin = end + 1;
  }
}

Result<void> check_prefix(std::string_view prefix) {
  if (auto text = check_text(prefix, "prefix"); !text) return text;
  const std::size_t folder = prefix.rfind('/');
  return folder == std::string_view::npos ? Result<void>{} : check_key(prefix.substr(0, folder));
}

}  // namespace asahi::object
