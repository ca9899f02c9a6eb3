#include "gateway/batch_api/multipart.h"

#include <algorithm>
#include <cctype>

namespace asahi::gateway {
namespace {

constexpr std::size_t kMostParts = 32;
constexpr std::size_t kMostBoundary = 70;  // RFC 2046 §5.1.1

bool same(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// The value of `name` among the parameters behind the first ';' of a header; quotes and their
/// escapes taken away. Empty: it is not there.
std::string parameter(std::string_view header, std::string_view name) {
  std::size_t at = header.find(';');
  while (at != std::string_view::npos && at < header.size()) {
    std::string_view rest = header.substr(at + 1);
    const std::size_t equals = rest.find_first_of("=;");
    if (equals == std::string_view::npos) return {};
    if (rest[equals] == ';') {
      at += 1 + equals;
      continue;
    }
    const std::string_view key = trimmed(rest.substr(0, equals));
    std::size_t from = equals + 1;
    std::string value;
    if (from < rest.size() && rest[from] == '"') {
      std::size_t i = from + 1;
      for (; i < rest.size() && rest[i] != '"'; ++i) {
        // Browsers escape a quote as %22 and leave backslashes alone; others escape both with a
        // backslash.
        if (rest[i] == '\\' && i + 1 < rest.size() && (rest[i + 1] == '"' || rest[i + 1] == '\\'))
          ++i;
        value += rest[i];
      }
      from = rest.find(';', std::min(i, rest.size()));
    } else {
      const std::size_t end = rest.find(';', from);
      value = trimmed(rest.substr(from, end == std::string_view::npos ? end : end - from));
      from = end;
    }
    if (same(key, name)) return value;
    at = from == std::string_view::npos ? from : at + 1 + from;
  }
  return {};
}

std::unexpected<Error> broken(std::string what) {
  return fail(Errc::kInvalidArgument,
              "the body is no proper multipart/form-data: " + std::move(what));
}

/// The fields of a part's head that matter.
Result<FormPart> read_head(std::string_view head) {
  FormPart part;
  while (!head.empty()) {
    const std::size_t end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(head.size(), end + 2));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return broken("a part has a header without a colon");
    if (!same(trimmed(line.substr(0, colon)), "content-disposition")) continue;
    const std::string_view value = line.substr(colon + 1);
    part.name = parameter(value, "name");
    part.filename = parameter(value, "filename");
  }
  if (part.name.empty()) return broken("a part has no name");
  return part;
}

}  // namespace

Result<std::vector<FormPart>> read_multipart(std::string_view content_type, std::string_view body) {
  if (!same(content_type.substr(0, 19), "multipart/form-data")) {
    auto wrong = fail(Errc::kInvalidArgument, "files are uploaded as multipart/form-data");
    wrong.error().reason = "unsupported_media_type";
    wrong.error().field = "content-type";
    return wrong;
  }
  const std::string boundary = parameter(content_type, "boundary");
  if (boundary.empty() || boundary.size() > kMostBoundary)
    return broken("the content type names no boundary of 1 to 70 characters");
  const std::string first = "--" + boundary, delimiter = "\r\n--" + boundary;
  std::size_t at = 0;
  if (!body.starts_with(first)) {
    at = body.find(delimiter);
    if (at == std::string_view::npos) return broken("its boundary does not occur");
    at += 2;
  }
  at += first.size();
  std::vector<FormPart> parts;
  while (true) {
    if (body.substr(at).starts_with("--")) return parts;
    if (!body.substr(at).starts_with("\r\n")) return broken("a boundary does not end its line");
    at += 2;
    const std::size_t head_end = body.find("\r\n\r\n", at);
    if (head_end == std::string_view::npos) return broken("a part's head does not end");
    const std::size_t end = body.find(delimiter, head_end + 2);
    if (end == std::string_view::npos) return broken("the last part does not end");
    if (parts.size() >= kMostParts) return broken("it has more than 32 parts");
    auto part = read_head(body.substr(at, head_end - at));
    if (!part) return std::unexpected(std::move(part.error()));
    const std::size_t begin = head_end + 4;
    part->content = end > begin ? body.substr(begin, end - begin) : std::string_view();
    parts.push_back(*std::move(part));
    at = end + delimiter.size();
  }
}

}  // namespace asahi::gateway
