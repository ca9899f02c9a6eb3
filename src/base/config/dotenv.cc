#include <fmt/format.h>
#include <unistd.h>

#include "base/config/loader.h"
#include "base/config/yaml_tree.h"
#include "base/utf8.h"

namespace asahi::config {
namespace {

constexpr std::string_view kBlank = " \t";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

bool is_name(std::string_view text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

/// The value of one line. Failures are sentences that never quote the value: it may be a secret.
std::expected<std::string, std::string_view> read_value(std::string_view text) {
  text = trimmed(text);
  if (text.empty() || text[0] == '#') return std::string();
  const char quote = text[0];
  if (quote != '"' && quote != '\'') {
    // A '#' inside a word belongs to it: passwords have them.
    for (std::size_t i = 1; i < text.size(); ++i) {
      if (text[i] == '#' && kBlank.find(text[i - 1]) != std::string_view::npos)
        return std::string(trimmed(text.substr(0, i)));
    }
    return std::string(text);
  }
  std::string value;
  std::size_t i = 1;
  for (; i < text.size() && text[i] != quote; ++i) {
    if (quote == '"' && text[i] == '\\' && i + 1 < text.size()) {
      switch (text[++i]) {
        case 'n':
          value += '\n';
          break;
        case 'r':
          value += '\r';
          break;
        case 't':
          value += '\t';
          break;
        case '\\':
        case '"':
        case '$':
          value += text[i];
          break;
        default:
          value += '\\';
          value += text[i];
      }
    } else {
      value += text[i];
    }
  }
  if (i >= text.size()) return std::unexpected("the closing quote is missing");
  const std::string_view rest = trimmed(text.substr(i + 1));
  if (!rest.empty() && rest[0] != '#') return std::unexpected("text follows the closing quote");
  return value;
}

}  // namespace

Result<std::map<std::string, std::string, std::less<>>> parse_dotenv(std::string_view text,
                                                                     const std::string& name) {
  std::map<std::string, std::string, std::less<>> values;
  const auto refuse = [&](int line, std::string_view why) {
    return fail(Errc::kInvalidArgument, fmt::format("{}:{}: {}", name, line, why));
  };
  if (text.size() > kMaxConfigBytes) {
    return fail(Errc::kTooLarge, fmt::format("{} is larger than {} bytes", name, kMaxConfigBytes));
  }
  if (!is_utf8(text) || text.find('\0') != std::string_view::npos)
    return refuse(1, "not UTF-8 text");
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  for (int line = 1; !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view statement = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (statement.ends_with('\r')) statement.remove_suffix(1);
    statement = trimmed(statement);
    if (statement.empty() || statement[0] == '#') continue;
    if (statement.starts_with("export ") || statement.starts_with("export\t"))
      statement = trimmed(statement.substr(7));
    const std::size_t equals = statement.find('=');
    if (equals == std::string_view::npos) return refuse(line, "expected NAME=value");
    const std::string_view key = trimmed(statement.substr(0, equals));
    if (!is_name(key))
      return refuse(line, "a name has letters, digits and '_' only, and no digit first");
    auto value = read_value(statement.substr(equals + 1));
    if (!value) return refuse(line, fmt::format("{}: {}", key, value.error()));
    values.insert_or_assign(std::string(key), *std::move(value));
  }
  return values;
}

Result<Sources> read_sources(const std::string& yaml_path, const std::string& dotenv_path) {
  Sources sources;
  sources.yaml_path = yaml_path;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0) continue;
    sources.environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  if (dotenv_path.empty()) return sources;
  const auto text = read_config_file(dotenv_path);
  if (!text) {
    if (text.error().code == Errc::kNotFound) return sources;
    return std::unexpected(text.error());
  }
  ASAHI_TRY(sources.dotenv, parse_dotenv(*text, dotenv_path));
  return sources;
}

}  // namespace asahi::config
