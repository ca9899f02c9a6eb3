#include "identity/keys/key_text.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/ids.h"

namespace asahi::identity {
namespace {

constexpr std::size_t kOrgPart = 4;
constexpr std::size_t kSecretPart = 32;
constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";

bool in_alphabet(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

char org_letter(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
  return in_alphabet(c) ? c : '0';
}

}  // namespace

std::string make_key_text(std::string_view prefix, std::string_view org_id) {
  std::string text(prefix);
  text += '_';
  for (std::size_t at = 0; at < kOrgPart; ++at)
    text += at < org_id.size() ? org_letter(org_id[at]) : '0';
  text += '_';
  // Bytes beyond the greatest multiple of 36 are thrown away: every letter is equally likely.
  constexpr std::uint8_t kFair = 256 / 36 * 36;
  const std::size_t whole = text.size() + kSecretPart;
  std::array<std::uint8_t, 64> bytes;
  while (text.size() < whole) {
    random_bytes(bytes.data(), bytes.size());
    for (const std::uint8_t byte : bytes) {
      if (byte < kFair && text.size() < whole) text += kAlphabet[byte % kAlphabet.size()];
    }
  }
  return text;
}

bool is_key_text(std::string_view prefix, std::string_view text) {
  if (text.size() != prefix.size() + 1 + kOrgPart + 1 + kSecretPart || !text.starts_with(prefix))
    return false;
  text.remove_prefix(prefix.size());
  if (text[0] != '_' || text[1 + kOrgPart] != '_') return false;
  return std::ranges::all_of(text.substr(1, kOrgPart), in_alphabet) &&
         std::ranges::all_of(text.substr(2 + kOrgPart), in_alphabet);
}

}  // namespace asahi::identity
