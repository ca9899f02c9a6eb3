#include <fmt/format.h>

#include <cstdint>
#include <filesystem>

#include "base/hash.h"
#include "base/ids.h"
#include "identity/keys/api_keys.h"
#include "identity/private_file.h"

namespace asahi::identity {
namespace {

constexpr std::size_t kLeast = 32;

Result<Secret> read_file(const std::string& path) {
  ASAHI_TRY(const Secret content, read_private_file(path));
  std::string text = content.reveal();
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (text.size() < kLeast) {
    return fail(Errc::kCorrupt, fmt::format("{} must hold at least {} characters; put the pepper "
                                            "back from a backup, or remove the file "
                                            "and issue all API keys anew",
                                            path, kLeast));
  }
  return Secret(std::move(text));
}

}  // namespace

Result<Secret> read_pepper(const Secret& given, const std::string& data_dir) {
  if (!given.empty()) {
    if (given.reveal().size() >= kLeast) return given;
    return fail(Errc::kInvalidArgument,
                fmt::format("ASAHI_KEY_PEPPER must have at least {} characters", kLeast));
  }
  const std::string path = data_dir + "/key_pepper";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    std::filesystem::create_directories(data_dir, ignored);
    std::string bytes(32, '\0');
    random_bytes(bytes.data(), bytes.size());
    const std::string text =
        to_hex(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()) + '\n';
    if (auto made = add_private_file(path, Secret(text)); !made) {
      made.error().message += "; set ASAHI_KEY_PEPPER instead";
      return std::unexpected(std::move(made.error()));
    }
  }
  return read_file(path);
}

}  // namespace asahi::identity
