#include "storage/cache/redis/resp.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace asahi::cache {
namespace {

/// A length that a peer announces is believed only so far before its bytes arrive.
constexpr std::size_t kReserveBytes = 1 << 20;
constexpr std::size_t kReserveItems = 256;

std::unexpected<Error> broken(std::string what) {
  return fail(Errc::kUpstream, "not the Redis protocol: " + std::move(what) +
                                   "; check that the URL points to a Redis server");
}

std::unexpected<Error> beyond(std::string_view limit, std::size_t value) {
  return fail(Errc::kUpstream, fmt::format("a Redis reply exceeds {} = {}", limit, value));
}

template <class Number>
bool read_number(std::string_view text, Number& out) {
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, out);
  return error == std::errc{} && at == end;
}

bool read_signed(std::string_view text, std::int64_t& out) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  return read_number(text, out);
}

bool is_big_number(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

Reply text_reply(Reply::Type type, std::string_view text) {
  Reply reply;
  reply.type = type;
  reply.text = text;
  return reply;
}

}  // namespace

const Reply* Reply::find(std::string_view key) const {
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].text == key) return &items[i + 1];
  }
  return nullptr;
}

Result<std::optional<Reply>> RespParser::parse(std::string_view& input) {
  const auto step = [&]() -> Result<void> {
    switch (state_) {
      case State::kLine: {
        const std::size_t end = input.find('\n');
        if (line_.size() + std::min(end, input.size()) > limits_.max_line) {
          return beyond("max_line", limits_.max_line);
        }
        if (end == std::string_view::npos) {
          line_.append(input);
          input = {};
          return {};
        }
        std::string_view line = input.substr(0, end);
        if (!line_.empty()) line = line_.append(line);
        input.remove_prefix(end + 1);
        if (line.size() < 2 || line.back() != '\r')
          return broken("a line is empty or lacks its CR");
        line.remove_suffix(1);
        auto taken = take_line(line);
        line_.clear();
        return taken;
      }
      case State::kBulk: {
        const auto part = input.substr(0, std::min<std::uint64_t>(bulk_left_, input.size()));
        bulk_.text.append(part);
        input.remove_prefix(part.size());
        bulk_left_ -= part.size();
        if (bulk_left_ == 0) {
          state_ = State::kBulkEnd;
          bulk_end_ = 0;
        }
        return {};
      }
      case State::kBulkEnd:
        if (input.front() != "\r\n"[bulk_end_]) return broken("a string is longer than announced");
        input.remove_prefix(1);
        if (++bulk_end_ < 2) return {};
        state_ = State::kLine;
        if (streamed_string_) return {};
        return finish_bulk();
      case State::kFailed:
        return broken("an earlier reply was damaged");
    }
    return {};
  };

  while (!input.empty()) {
    if (auto ok = step(); !ok) {
      state_ = State::kFailed;
      return std::unexpected(std::move(ok.error()));
    }
    if (done_) return std::exchange(done_, std::nullopt);
  }
  return std::nullopt;
}

Result<void> RespParser::take_line(std::string_view line) {
  const char type = line.front();
  const std::string_view rest = line.substr(1);
  if (streamed_string_) {
    std::uint64_t size = 0;
    if (type != ';' || !read_number(rest, size)) return broken("a streamed string lacks a chunk");
    if (size == 0) {
      streamed_string_ = false;
      return finish_bulk();
    }
    if (auto ok = count_bytes(size); !ok) return ok;
    bulk_left_ = size;
    state_ = State::kBulk;
    return {};
  }
  switch (type) {
    case '$':
      return open_bulk(Reply::Type::kBulk, rest);
    case '+':
    case '-':
      if (auto ok = count_bytes(rest.size()); !ok) return ok;
      return complete(text_reply(type == '+' ? Reply::Type::kSimple : Reply::Type::kError, rest));
    case ':': {
      Reply reply;
      reply.type = Reply::Type::kInteger;
      if (!read_signed(rest, reply.integer)) return broken("an integer has other characters");
      return complete(std::move(reply));
    }
    case '_':
      if (!rest.empty()) return broken("a null has a value");
      return complete({});
    case '#': {
      Reply reply;
      reply.type = Reply::Type::kBoolean;
      if (rest != "t" && rest != "f") return broken("a boolean is neither t nor f");
      reply.integer = rest == "t";
      return complete(std::move(reply));
    }
    case ',': {
      Reply reply;
      reply.type = Reply::Type::kDouble;
      if (!read_number(rest, reply.number)) return broken("a double has other characters");
      return complete(std::move(reply));
    }
    case '(':
      if (!is_big_number(rest)) return broken("a big number has other characters");
      if (auto ok = count_bytes(rest.size()); !ok) return ok;
      return complete(text_reply(Reply::Type::kBigNumber, rest));
    case '!':
      return open_bulk(Reply::Type::kError, rest);
    case '=':
      return open_bulk(Reply::Type::kVerbatim, rest);
    case '*':
      return open_aggregate(Reply::Type::kArray, rest, false, false);
    case '~':
      return open_aggregate(Reply::Type::kSet, rest, false, false);
    case '%':
      return open_aggregate(Reply::Type::kMap, rest, true, false);
    case '|':
      return open_aggregate(Reply::Type::kMap, rest, true, true);
    case '>':
      if (!frames_.empty()) return broken("a push inside another reply");
      return open_aggregate(Reply::Type::kPush, rest, false, false);
    case '.':
      if (!rest.empty()) return broken("an end mark has a value");
      return close_streamed();
    default:
      return broken(fmt::format("unknown type byte 0x{:02x}", static_cast<unsigned char>(type)));
  }
}

Result<void> RespParser::open_bulk(Reply::Type type, std::string_view length_text) {
  if (type == Reply::Type::kBulk && length_text == "-1") return complete({});
  bulk_ = Reply{};
  bulk_.type = type;
  if (type == Reply::Type::kBulk && length_text == "?") {
    streamed_string_ = true;
    return {};
  }
  if (!read_number(length_text, bulk_left_)) return broken("a string has no length");
  if (auto ok = count_bytes(bulk_left_); !ok) return ok;
  bulk_.text.reserve(std::min<std::uint64_t>(bulk_left_, kReserveBytes));
  state_ = bulk_left_ > 0 ? State::kBulk : State::kBulkEnd;
  bulk_end_ = 0;
  return {};
}

Result<void> RespParser::finish_bulk() {
  if (bulk_.type == Reply::Type::kVerbatim) {
    if (bulk_.text.size() < 4 || bulk_.text[3] != ':') return broken("a text has no format");
    bulk_.text.erase(0, 4);
  }
  return complete(std::move(bulk_));
}

Result<void> RespParser::open_aggregate(Reply::Type type, std::string_view count_text, bool pairs,
                                        bool attribute) {
  if (type == Reply::Type::kArray && count_text == "-1") return complete({});
  Frame frame;
  frame.value.type = type;
  frame.attribute = attribute;
  if (count_text == "?" && type != Reply::Type::kPush && !attribute) {
    frame.streamed = true;
  } else {
    if (!read_number(count_text, frame.left)) return broken("an aggregate has no item count");
    if (frame.left > limits_.max_items) return beyond("max_items", limits_.max_items);
    if (pairs) frame.left *= 2;
    if (frame.left == 0) return attribute ? Result<void>{} : complete(std::move(frame.value));
  }
  if (frames_.size() >= limits_.max_depth) return beyond("max_depth", limits_.max_depth);
  frame.value.items.reserve(std::min<std::uint64_t>(frame.left, kReserveItems));
  frames_.push_back(std::move(frame));
  return {};
}

Result<void> RespParser::close_streamed() {
  if (frames_.empty() || !frames_.back().streamed) return broken("an end mark ends nothing");
  Reply value = std::move(frames_.back().value);
  if (value.type == Reply::Type::kMap && value.items.size() % 2 != 0) {
    return broken("a map ends after a key");
  }
  frames_.pop_back();
  return complete(std::move(value));
}

Result<void> RespParser::count_bytes(std::uint64_t size) {
  if (size > limits_.max_bytes - bytes_used_) return beyond("max_bytes", limits_.max_bytes);
  bytes_used_ += size;
  return {};
}

Result<void> RespParser::complete(Reply value) {
  while (!frames_.empty()) {
    // Counted as they come: an announced count alone costs nothing.
    if (++items_used_ > limits_.max_items) return beyond("max_items", limits_.max_items);
    Frame& top = frames_.back();
    if (!top.attribute) top.value.items.push_back(std::move(value));
    if (top.streamed || --top.left > 0) return {};
    const bool attribute = top.attribute;
    value = std::move(top.value);
    frames_.pop_back();
    if (attribute) return {};
  }
  bytes_used_ = 0;
  items_used_ = 0;
  done_ = std::move(value);
  return {};
}

void append_command(std::string& out, std::span<const std::string_view> args) {
  if (out.empty()) {  // a buffer that grows command by command keeps its own doubling
    std::size_t size = 16;
    for (const std::string_view arg : args) size += arg.size() + 16;
    out.reserve(size);
  }
  const auto header = [&out](char type, std::size_t count) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, count).ptr;
    out.push_back(type);
    out.append(digits, end);
    out.append("\r\n");
  };
  header('*', args.size());
  for (const std::string_view arg : args) {
    header('$', arg.size());
    out.append(arg);
    out.append("\r\n");
  }
}

}  // namespace asahi::cache
