#include "server/shutdown_token.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <filesystem>

#include "base/hash.h"
#include "base/ids.h"
#include "base/log.h"
#include "identity/private_file.h"

namespace asahi::server {
namespace {

constexpr std::size_t kBytes = 32;

std::string path_in(const std::string& data_dir) { return data_dir + "/shutdown_token"; }

}  // namespace

Result<Secret> read_shutdown_token(const std::string& data_dir) {
  const std::string path = path_in(data_dir);
  ASAHI_TRY(const Secret content, identity::read_private_file(path));
  std::string text = content.reveal();
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (text.size() < kBytes)
    return fail(Errc::kCorrupt, fmt::format("{} holds no token; remove it and start again", path));
  return Secret(std::move(text));
}

Result<Secret> make_shutdown_token(const std::string& data_dir) {
  std::error_code ignored;
  std::filesystem::create_directories(data_dir, ignored);
  if (!std::filesystem::exists(path_in(data_dir), ignored)) {
    std::array<std::uint8_t, kBytes> bytes{};
    random_bytes(bytes.data(), bytes.size());
    const Secret made(to_hex(bytes.data(), bytes.size()) + '\n');
    if (auto written = identity::add_private_file(path_in(data_dir), made); !written)
      return std::unexpected(std::move(written.error()));
  }
  return read_shutdown_token(data_dir);
}

Secret shutdown_token_or_none(const std::string& data_dir) {
  auto token = make_shutdown_token(data_dir);
  if (token) return std::move(*token);
  Logger("server").warning("POST /shutdown takes credentials only: there is no token for it",
                           {{"error", token.error().message}});
  return Secret();
}

}  // namespace asahi::server
