#include <fmt/format.h>

#include <cstdint>
#include <cstring>

#include "memory/ingest/payload.h"

namespace asahi::memory {

namespace {

constexpr std::size_t kMaxNesting = 256;
constexpr std::size_t kMaxKey = 256;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// Sixteen bytes, compared together.
using Bytes = unsigned char __attribute__((vector_size(16)));
using Halves = std::uint64_t __attribute__((vector_size(16)));

/// What may end a string or escape its end.
struct EndsText {
  static auto among(auto c) { return (c == '"') | (c == '\\'); }
};
/// What changes the nesting: quotes and brackets. [ and { are one bit apart, as ] and }.
struct Structure {
  static auto among(auto c) { return (c == '"') | ((c | 0x20) == '{') | ((c | 0x20) == '}'); }
};

/// The first of these bytes from `at` on; the text's size: none.
template <class Wanted>
std::size_t find_any(std::string_view text, std::size_t at) {
  for (; at + sizeof(Bytes) <= text.size(); at += sizeof(Bytes)) {
    Bytes bytes;
    std::memcpy(&bytes, text.data() + at, sizeof bytes);
    const auto halves = (Halves)Wanted::among(bytes);
    if ((halves[0] | halves[1]) != 0) break;
  }
  while (at < text.size() && !Wanted::among(static_cast<unsigned char>(text[at]))) ++at;
  return at;
}

}  // namespace

ItemScanner::Step ItemScanner::broken(std::string why) {
  at_ = At::kBroken;
  why_ = std::move(why);
  return Step::kBroken;
}

std::string ItemScanner::named(std::string_view text) const {
  return fmt::format(fmt::runtime(text), "\"" + list_ + "\"");
}

void ItemScanner::begin_value() {
  nesting_.clear();
  in_string_ = escaped_ = scalar_ = mismatch_ = false;
}

bool ItemScanner::follow(char c, bool& used) {
  used = true;
  if (in_string_) {
    if (escaped_) {
      escaped_ = false;
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == '"') {
      in_string_ = false;
      return nesting_.empty();
    }
    return false;
  }
  if (scalar_) {
    if (c != ',' && c != ']' && c != '}' && !is_blank(c)) return false;
    used = false;
    return true;
  }
  switch (c) {
    case '"':
      in_string_ = true;
      return false;
    case '{':
      nesting_ += '}';
      break;
    case '[':
      nesting_ += ']';
      break;
    case '}':
    case ']':
      if (nesting_.empty() || nesting_.back() != c) {
        mismatch_ = true;
        return true;
      }
      nesting_.pop_back();
      return nesting_.empty();
    default:
      if (nesting_.empty()) scalar_ = true;
      return false;
  }
  if (nesting_.size() > kMaxNesting) {
    mismatch_ = true;
    return true;
  }
  return false;
}

ItemScanner::Step ItemScanner::next(std::string_view& text) {
  if (at_ == At::kBroken) return Step::kBroken;
  if (fresh_) {
    item_.clear();
    oversize_ = false;
    fresh_ = false;
  }
  return format_ == Format::kLines ? next_line(text) : next_in_bundle(text);
}

ItemScanner::Step ItemScanner::next_line(std::string_view& text) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view piece = text.substr(0, end);
    if (!oversize_ && item_.size() + piece.size() > max_item_) {
      oversize_ = true;
      item_.clear();
    }
    if (!oversize_) item_ += piece;
    if (end == std::string_view::npos) {
      text = {};
      return Step::kMore;
    }
    text.remove_prefix(end + 1);
    if (oversize_) {
      fresh_ = true;
      return Step::kOversize;
    }
    while (!item_.empty() && is_blank(item_.back())) item_.pop_back();
    if (!item_.empty()) {
      fresh_ = true;
      return Step::kItem;
    }
  }
  return Step::kMore;
}

ItemScanner::Step ItemScanner::next_in_bundle(std::string_view& text) {
  while (!text.empty()) {
    const char c = text.front();
    bool used = true;
    switch (at_) {
      case At::kRoot:
        // Some writers put a byte-order mark first.
        if (root_bytes_ < 3 && c == "\xEF\xBB\xBF"[root_bytes_]) {
          ++root_bytes_;
          break;
        }
        if (c == '{') {
          at_ = At::kKeyOrEnd;
        } else if (!is_blank(c)) {
          return broken("the payload is no JSON object {" + named("{}: [...]}}"));
        }
        break;
      case At::kKeyOrEnd:
        if (c == '"') {
          key_.clear();
          begin_value();
          at_ = At::kKey;
        } else if (c == '}') {
          at_ = At::kEnd;
        } else if (!is_blank(c) && c != ',') {
          return broken("a name in quotes is missing in the payload's object");
        }
        break;
      case At::kKey:
        if (!escaped_ && c == '"') {
          at_ = At::kColon;
        } else {
          escaped_ = !escaped_ && c == '\\';
          if (key_.size() < kMaxKey) key_ += c;
        }
        break;
      case At::kColon:
        if (c == ':') {
          at_ = At::kValue;
        } else if (!is_blank(c)) {
          return broken("a ':' is missing behind a name of the payload's object");
        }
        break;
      case At::kValue:
        if (is_blank(c)) break;
        if (key_ == list_) {
          if (c != '[') return broken(named("{} is no list"));
          found_ = true;
          comma_ = false;
          at_ = At::kItems;
          break;
        }
        begin_value();
        if (most_others_ > 0) {
          others_ += others_.empty() ? "" : ",";
          others_ += "\"" + key_ + "\":";
        }
        at_ = At::kSkip;
        used = false;
        break;
      case At::kSkip:
        if (follow(c, used)) {
          if (mismatch_) return broken("brackets do not match in the payload's object");
          at_ = At::kAfterValue;
        }
        if (used && most_others_ > 0) {
          if (others_.size() >= most_others_)
            return broken(
                fmt::format("beside its items the payload has more than {} bytes", most_others_));
          others_ += c;
        }
        break;
      case At::kAfterValue:
        if (c == ',') {
          at_ = At::kKeyOrEnd;
        } else if (c == '}') {
          at_ = At::kEnd;
        } else if (!is_blank(c)) {
          return broken("a ',' is missing in the payload's object");
        }
        break;
      case At::kItems:
        if (is_blank(c)) break;
        if (c == ']') {
          at_ = At::kAfterValue;
        } else if (c == ',') {
          if (!comma_) return broken(named("an item is missing between two commas of {}"));
          comma_ = false;
        } else if (comma_) {
          return broken(named("a ',' is missing between two items of {}"));
        } else {
          begin_value();
          at_ = At::kInItem;
          used = false;
        }
        break;
      case At::kInItem: {
        // Long stretches inside of strings and of lists of numbers go in one piece.
        std::size_t length = 0;
        bool ended = false;
        while (length < text.size() && !ended) {
          if (in_string_ && !escaped_) {
            length = find_any<EndsText>(text, length);
          } else if (!in_string_ && !nesting_.empty()) {
            length = find_any<Structure>(text, length);
          }
          if (length == text.size()) break;
          ended = follow(text[length], used);
          if (used) ++length;
        }
        if (!oversize_ && item_.size() + length > max_item_) {
          oversize_ = true;
          item_.clear();
        }
        if (!oversize_) item_ += text.substr(0, length);
        text.remove_prefix(length);
        if (!ended) return Step::kMore;
        if (mismatch_) return broken(named("brackets do not match in an item of {}"));
        at_ = At::kItems;
        comma_ = true;
        fresh_ = true;
        return oversize_ ? Step::kOversize : Step::kItem;
      }
      case At::kEnd:
        if (!is_blank(c)) return broken("text follows the payload's object");
        break;
      case At::kBroken:
        return Step::kBroken;
    }
    if (used) text.remove_prefix(1);
  }
  return Step::kMore;
}

ItemScanner::Step ItemScanner::finish() {
  if (at_ == At::kBroken) return Step::kBroken;
  if (format_ == Format::kLines) {
    if (fresh_) return Step::kMore;
    fresh_ = true;
    if (oversize_) {
      oversize_ = false;
      return Step::kOversize;
    }
    while (!item_.empty() && is_blank(item_.back())) item_.pop_back();
    return item_.empty() ? Step::kMore : Step::kItem;
  }
  if (at_ == At::kEnd) return found_ ? Step::kMore : broken(named("the payload has no list {}"));
  return broken("the payload ends in the middle of its JSON; it was cut");
}

}  // namespace asahi::memory
