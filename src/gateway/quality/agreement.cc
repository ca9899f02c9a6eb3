#include "gateway/quality/agreement.h"

#include <algorithm>
#include <string>
#include <unordered_map>

namespace asahi::gateway {
namespace {

constexpr std::size_t kMostBytes = 16 * 1024;
constexpr int kNumberWeight = 3;

std::unordered_map<std::string, int> counts_of(std::string_view text) {
  std::unordered_map<std::string, int> counts;
  std::string word;
  const auto end_word = [&] {
    if (word.empty()) return;
    const bool number = word.find_first_not_of("0123456789") == std::string::npos;
    counts[word] += number ? kNumberWeight : 1;
    word.clear();
  };
  for (const char c : text.substr(0, kMostBytes)) {
    const char low = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    const bool inside = (low >= 'a' && low <= 'z') || (low >= '0' && low <= '9') ||
                        (static_cast<unsigned char>(low) & 0x80) != 0;
    if (inside) {
      word += low;
    } else {
      end_word();
    }
  }
  end_word();
  return counts;
}

}  // namespace

double agreement(std::string_view one, std::string_view other) {
  if (one == other) return 1;
  const auto first = counts_of(one), second = counts_of(other);
  int in_first = 0, in_second = 0, shared = 0;
  for (const auto& [word, count] : first) {
    in_first += count;
    const auto found = second.find(word);
    if (found != second.end()) shared += std::min(count, found->second);
  }
  for (const auto& [word, count] : second) in_second += count;
  if (in_first + in_second == 0) return 1;
  return 2.0 * shared / (in_first + in_second);
}

}  // namespace asahi::gateway
