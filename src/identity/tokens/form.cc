#include "identity/tokens/form.h"

#include "net/http/message.h"

namespace asahi::identity {

Result<std::map<std::string, std::string, std::less<>>> parse_form(std::string_view text) {
  constexpr std::size_t kMaxMembers = 64;
  std::map<std::string, std::string, std::less<>> out;
  if (text.find('\0') != std::string_view::npos) {
    return fail(Errc::kInvalidArgument, "a parameter holds a NUL character");
  }
  while (!text.empty()) {
    const std::size_t end = text.find('&');
    const std::string_view member = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (member.empty()) continue;
    const std::size_t equals = member.find('=');
    ASAHI_TRY(std::string name, http::percent_decode(member.substr(0, equals), true));
    const std::string_view raw =
        equals == std::string_view::npos ? std::string_view() : member.substr(equals + 1);
    ASAHI_TRY(std::string value, http::percent_decode(raw, true));
    if (!out.emplace(std::move(name), std::move(value)).second) {
      return fail(Errc::kInvalidArgument, "a parameter is given more than once");
    }
    if (out.size() > kMaxMembers)
      return fail(Errc::kInvalidArgument, "there are more than 64 parameters");
  }
  return out;
}

void append_form(std::string& form, std::string_view name, std::string_view value) {
  if (!form.empty() && form.back() != '?' && form.back() != '&') form += '&';
  form += name;
  form += '=';
  form += http::percent_encode(value);
}

}  // namespace asahi::identity
