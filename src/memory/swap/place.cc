#include "memory/swap/place.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace asahi::memory::swap {
namespace {

constexpr std::size_t kMostUrl = 4096;
constexpr std::size_t kMostName = 1024;
constexpr std::array<std::string_view, 3> kBackends = {"duckdb-memory", "duckdb-ssd", "pgvector"};

Result<std::string> text_field(const json::object& body, std::string_view name) {
  const json::value* const found = body.if_contains(name);
  if (found == nullptr) return std::string();
  if (!found->is_string() || found->get_string().empty() || found->get_string().size() > kMostName)
    return fail_field(std::string(name), "it is not a text of 1 to 1024 bytes");
  return std::string(found->get_string());
}

bool is_postgres(std::string_view url) {
  return url.starts_with("postgres://") || url.starts_with("postgresql://");
}

}  // namespace

json::object Place::to_json() const {
  json::object out{{"backend", backend}};
  if (!path.empty()) out["path"] = path;
  if (!url_file.empty()) out["pg_url_file"] = url_file;
  if (!url_env.empty()) out["pg_url_env"] = url_env;
  return out;
}

std::string Place::text() const {
  if (backend != "pgvector") return fmt::format("{} ({})", backend, path);
  if (!url_file.empty()) return fmt::format("pgvector (URL in {})", url_file);
  if (!url_env.empty()) return fmt::format("pgvector (URL in ${})", url_env);
  return "pgvector (memory.hot.pg_url)";
}

Result<Place> read_place(std::string_view text) {
  const auto document = JsonDocument::parse(text);
  if (!document || !(*document)->root().is_object())
    return fail(Errc::kCorrupt, "the record of the hot tier's backends is no JSON object");
  const json::object& from = (*document)->root().get_object();
  const auto member = [&](std::string_view name) {
    const json::value* const found = from.if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->get_string())
                                                  : std::string();
  };
  return Place{.backend = member("backend"),
               .path = member("path"),
               .url_file = member("pg_url_file"),
               .url_env = member("pg_url_env")};
}

Result<Place> parse_place(const json::object& body, const std::string& usual_path) {
  if (body.contains("pg_url")) {
    return fail_field("pg_url",
                      "an address with a password is not taken in a request, which logs and "
                      "proxies see: put it into a file and name that in 'pg_url_file', or name a "
                      "variable of the server's environment in 'pg_url_env'");
  }
  Place place;
  ASAHI_TRY(place.backend, text_field(body, "backend"));
  ASAHI_TRY(place.path, text_field(body, "path"));
  ASAHI_TRY(place.url_file, text_field(body, "pg_url_file"));
  ASAHI_TRY(place.url_env, text_field(body, "pg_url_env"));
  if (std::ranges::find(kBackends, place.backend) == kBackends.end()) {
    return fail_field(
        "backend", fmt::format("'{}'; possible are {}", place.backend, fmt::join(kBackends, ", ")));
  }
  if (place.backend == "duckdb-memory") {
    return fail_field("backend",
                      "a move into memory would be lost with the process: duckdb-ssd keeps files");
  }
  if (place.backend == "pgvector") {
    if (!place.path.empty()) return fail_field("path", "pgvector has no folder");
    if (!place.url_file.empty() && !place.url_env.empty())
      return fail_field("pg_url_env", "pg_url_file names another address: give one of the two");
    if (!place.url_file.empty() && !place.url_file.starts_with('/'))
      return fail_field("pg_url_file", "it is not an absolute path");
    return place;
  }
  if (!place.url_file.empty()) return fail_field("pg_url_file", "only pgvector has an address");
  if (!place.url_env.empty()) return fail_field("pg_url_env", "only pgvector has an address");
  if (place.path.empty()) place.path = usual_path;
  if (place.path == ":memory:")
    return fail_field("path", "name a folder: memory.hot.path keeps nothing over a restart");
  if (!place.path.starts_with('/') && place.path != usual_path)
    return fail_field("path", "it is not an absolute path");
  return place;
}

bool overlap(const std::string& folder, const std::string& other) {
  namespace fs = std::filesystem;
  const std::string one = fs::absolute(folder).lexically_normal().string() + "/";
  const std::string two = fs::absolute(other).lexically_normal().string() + "/";
  return one.starts_with(two) || two.starts_with(one);
}

Result<Secret> read_url(const Place& place) {
  std::string url;
  if (!place.url_file.empty()) {
    std::ifstream in(place.url_file, std::ios::binary);
    std::array<char, kMostUrl> bytes{};
    in.read(bytes.data(), bytes.size());
    url.assign(bytes.data(), static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
    while (!url.empty() && std::isspace(static_cast<unsigned char>(url.back())) != 0)
      url.pop_back();
    if (!is_postgres(url)) {
      return fail_field("pg_url_file",
                        fmt::format("{} cannot be read, or does not hold an address that begins "
                                    "with postgres:// or postgresql://",
                                    place.url_file));
    }
  } else if (!place.url_env.empty()) {
    // Read while the process runs; nothing changes its environment.
    const char* const value = std::getenv(place.url_env.c_str());  // NOLINT(concurrency-mt-unsafe)
    if (value != nullptr) url = value;
    if (!is_postgres(url)) {
      return fail_field("pg_url_env",
                        fmt::format("the environment's {} is not there, or is no address that "
                                    "begins with postgres:// or postgresql://",
                                    place.url_env));
    }
  }
  return Secret(std::move(url));
}

}  // namespace asahi::memory::swap
