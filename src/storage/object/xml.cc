#include "storage/object/xml.h"

#include <fmt/format.h>

#include <charconv>

namespace asahi::object {
namespace {

constexpr std::size_t kDeepest = 16, kMostElements = 50'000;

void append_utf8(std::string& out, std::uint32_t code) {
  const auto add = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    add(code);
  } else if (code < 0x800) {
    add(0xC0 | code >> 6);
    add(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    add(0xE0 | code >> 12);
    add(0x80 | (code >> 6 & 0x3F));
    add(0x80 | (code & 0x3F));
  } else {
    add(0xF0 | code >> 18);
    add(0x80 | (code >> 12 & 0x3F));
    add(0x80 | (code >> 6 & 0x3F));
    add(0x80 | (code & 0x3F));
  }
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Result<XmlElement> document() {
    skip_prolog();
    ASAHI_TRY(XmlElement root, element(1));
    skip_blanks();
    if (at_ != text_.size()) return wrong("more after the document");
    return root;
  }

 private:
  std::unexpected<Error> wrong(std::string_view what) const {
    return fail(Errc::kCorrupt, fmt::format("XML: {} at byte {}", what, at_));
  }
  bool ahead(std::string_view what) const { return text_.substr(at_).starts_with(what); }
  bool skip_to(std::string_view end) {
    const std::size_t found = text_.find(end, at_);
    if (found == std::string_view::npos) return false;
    at_ = found + end.size();
    return true;
  }
  static bool blank(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
  void skip_blanks() {
    while (at_ < text_.size() && blank(text_[at_])) ++at_;
  }
  void skip_prolog() {
    if (ahead("\xEF\xBB\xBF")) at_ += 3;
    skip_blanks();
    while ((ahead("<?") && skip_to("?>")) || (ahead("<!--") && skip_to("-->"))) skip_blanks();
  }

  /// A name as it stands; without what precedes ':' when `local`.
  std::string_view name() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && !blank(text_[at_]) && text_[at_] != '>' && text_[at_] != '/' &&
           text_[at_] != '=' && text_[at_] != '<')
      ++at_;
    return text_.substr(begin, at_ - begin);
  }
  static std::string local(std::string_view full) {
    return std::string(
        full.substr(full.find(':') == std::string_view::npos ? 0 : full.find(':') + 1));
  }

  /// Over the attributes; true when the element is empty ("/>").
  Result<bool> rest_of_tag() {
    for (;;) {
      skip_blanks();
      if (ahead("/>")) {
        at_ += 2;
        return true;
      }
      if (ahead(">")) {
        ++at_;
        return false;
      }
      if (name().empty()) return wrong("a broken tag");
      skip_blanks();
      if (!ahead("=")) return wrong("an attribute without value");
      ++at_;
      skip_blanks();
      if (at_ >= text_.size() || (text_[at_] != '"' && text_[at_] != '\''))
        return wrong("an attribute without quotes");
      const char quote = text_[at_++];
      if (!skip_to({&quote, 1})) return wrong("an attribute without end");
    }
  }

  Result<void> entity(std::string& out) {
    const std::size_t end = text_.find(';', at_);
    if (end == std::string_view::npos || end - at_ > 10) return wrong("a broken entity");
    const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
    if (inside == "amp") {
      out += '&';
    } else if (inside == "lt") {
      out += '<';
    } else if (inside == "gt") {
      out += '>';
    } else if (inside == "quot") {
      out += '"';
    } else if (inside == "apos") {
      out += '\'';
    } else if (inside.starts_with('#')) {
      const bool hex = inside.starts_with("#x");
      const std::string_view digits = inside.substr(hex ? 2 : 1);
      std::uint32_t code = 0;
      const auto [stopped, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), code, hex ? 16 : 10);
      const bool whole = error == std::errc{} && stopped == digits.data() + digits.size();
      if (!whole || code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        return wrong("a character that is none");
      append_utf8(out, code);
    } else {
      return wrong("an unknown entity");
    }
    at_ = end + 1;
    return {};
  }

  Result<XmlElement> element(std::size_t level) {
    if (level > kDeepest) return wrong("too many levels");
    if (++elements_ > kMostElements) return wrong("too many elements");
    if (!ahead("<")) return wrong("no element");
    ++at_;
    const std::string_view full = name();
    if (full.empty() || full.front() == '!' || full.front() == '?') return wrong("no element");
    XmlElement made{.name = local(full), .text = {}, .children = {}};
    ASAHI_TRY(const bool empty, rest_of_tag());
    if (empty) return made;
    for (;;) {
      if (at_ >= text_.size()) return wrong(fmt::format("no end of '{}'", made.name));
      if (ahead("</")) {
        at_ += 2;
        if (name() != full) return wrong(fmt::format("another end than that of '{}'", made.name));
        skip_blanks();
        if (!ahead(">")) return wrong("a broken end tag");
        ++at_;
        return made;
      }
      if (ahead("<!--")) {
        if (!skip_to("-->")) return wrong("a comment without end");
      } else if (ahead("<![CDATA[")) {
        const std::size_t begin = at_ + 9;
        if (!skip_to("]]>")) return wrong("CDATA without end");
        made.text += text_.substr(begin, at_ - 3 - begin);
      } else if (ahead("<")) {
        ASAHI_TRY(XmlElement inner, element(level + 1));
        made.children.push_back(std::move(inner));
      } else if (ahead("&")) {
        if (auto read = entity(made.text); !read) return std::unexpected(read.error());
      } else {
        made.text += text_[at_++];
      }
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t elements_ = 0;
};

}  // namespace

const XmlElement* XmlElement::child(std::string_view wanted) const {
  for (const XmlElement& each : children) {
    if (each.name == wanted) return &each;
  }
  return nullptr;
}

std::string_view XmlElement::text_of(std::string_view wanted) const {
  const XmlElement* found = child(wanted);
  return found == nullptr ? std::string_view{} : std::string_view(found->text);
}

Result<XmlElement> parse_xml(std::string_view text) { return Reader(text).document(); }

}  // namespace asahi::object
