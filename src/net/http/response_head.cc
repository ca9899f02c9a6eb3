#include "net/http/response_head.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <chrono>
#include <concepts>
#include <ctime>

#include "net/http/ascii.h"

namespace asahi::http {
namespace {

bool is_line_safe(std::string_view text) {
  for (const char c : text) {
    if (c == '\r' || c == '\n' || c == '\0') return false;
  }
  return true;
}

bool is_name(std::string_view name) {
  if (name.empty()) return false;
  for (const char c : name) {
    if (c <= ' ' || c == ':' || c == 127) return false;
  }
  return true;
}

bool is_owned_by_server(std::string_view name) {
  switch (name.size()) {
    case 4:
      return iequals(name, "Date");
    case 10:
      return iequals(name, "Connection") || iequals(name, "Keep-Alive");
    case 12:
      return iequals(name, "X-Request-Id");
    case 14:
      return iequals(name, "Content-Length");
    case 17:
      return iequals(name, "Transfer-Encoding");
    default:
      return false;
  }
}

void append_number(std::string& out, std::integral auto number) {
  std::array<char, 20> digits;  // of any 64-bit number, with its sign
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  out.append(digits.data(), end);
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  out += value;
  out += "\r\n";
}

}  // namespace

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 203:
      return "Non-Authoritative Information";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 207:
      return "Multi-Status";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 425:
      return "Too Early";
    case 426:
      return "Upgrade Required";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 451:
      return "Unavailable For Legal Reasons";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    case 529:
      return "Overloaded";
    default:
      return "Unknown";
  }
}

ResponseHeadWriter::ResponseHeadWriter(Headers default_fields,
                                       std::vector<std::string> cors_origins)
    : cors_(std::move(cors_origins)) {
  for (const auto& [name, value] : default_fields) {
    if (!is_name(name) || !is_line_safe(value) || is_owned_by_server(name)) continue;
    append_field(default_block_, name, value);
    default_fields_.add(name, value);
  }
}

void ResponseHeadWriter::append(std::string& out, const Response& response, const ReplyFrame& frame,
                                const Request& request) const {
  if (response.status == 200) {
    out += "HTTP/1.1 200 OK\r\n";
  } else {
    out += "HTTP/1.1 ";
    append_number(out, static_cast<std::size_t>(response.status >= 100 && response.status <= 999
                                                    ? response.status
                                                    : 500));
    out += ' ';
    out += reason_phrase(response.status);
    out += "\r\n";
  }
  out += frame.date_field;
  if (!frame.request_id.empty()) append_field(out, "X-Request-Id", frame.request_id);
  bool overrides_default = false;
  for (const auto& [name, value] : response.headers) {
    if (is_owned_by_server(name) || !is_name(name) || !is_line_safe(value)) continue;
    append_field(out, name, value);
    overrides_default = overrides_default || default_fields_.has(name);
  }
  if (frame.extra != nullptr) {
    for (const auto& [name, value] : *frame.extra) {
      if (!is_owned_by_server(name) && is_name(name) && is_line_safe(value))
        append_field(out, name, value);
    }
  }
  if (frame.limits) {
    out += "X-RateLimit-Limit: ";
    append_number(out, frame.limits->most);
    out += "\r\nX-RateLimit-Remaining: ";
    append_number(out, frame.limits->remaining);
    out += "\r\nX-RateLimit-Reset: ";
    append_number(out, frame.limits->reset);
    out += "\r\n";
  }
  if (!overrides_default) {
    out += default_block_;
  } else {
    for (const auto& [name, value] : default_fields_) {
      if (!response.headers.has(name)) append_field(out, name, value);
    }
  }
  cors_.append_fields(out, request);
  if (!frame.keep_alive) {
    out += "Connection: close\r\n";
  } else if (!frame.http_1_1) {
    out += "Connection: keep-alive\r\n";
  }
  switch (frame.framing) {
    case BodyFraming::kLength:
      out += "Content-Length: ";
      append_number(out, frame.body_bytes);
      out += "\r\n\r\n";
      break;
    case BodyFraming::kChunked:
      out += "Transfer-Encoding: chunked\r\n\r\n";
      break;
    case BodyFraming::kToClose:
    case BodyFraming::kNone:
      out += "\r\n";
      break;
  }
}

std::string_view DateField::now() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &time);
  if (time.tv_sec != second_) {
    second_ = time.tv_sec;
    constexpr std::array<std::string_view, 7> kDays{"Sun", "Mon", "Tue", "Wed",
                                                    "Thu", "Fri", "Sat"};
    constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm parts{};
    ::gmtime_r(&time.tv_sec, &parts);
    text_ = fmt::format("Date: {}, {:02} {} {} {:02}:{:02}:{:02} GMT\r\n",
                        kDays[static_cast<std::size_t>(parts.tm_wday)], parts.tm_mday,
                        kMonths[static_cast<std::size_t>(parts.tm_mon)], parts.tm_year + 1900,
                        parts.tm_hour, parts.tm_min, parts.tm_sec);
  }
  return text_;
}

}  // namespace asahi::http
