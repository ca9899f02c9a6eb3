#include "llm/tokens/encoding.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <array>
#include <stdexcept>

#include "base/utf8.h"
#include "llm/tokens/byte_pairs.h"

// tables.S
extern "C" const unsigned char asahi_cl100k_ranks[];
extern "C" const unsigned char asahi_o200k_ranks[];

namespace asahi::llm {
namespace {

// The patterns of tiktoken's openai_public.py. Its \s is Unicode's White_Space; PCRE2's has U+180E
// besides, so it is spelled out.
#define ASAHI_SPACE                                                                        \
  "\\t-\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}" \
  "\\x{3000}"
constexpr char kCl100k[] =
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+"
    "| ?[^" ASAHI_SPACE "\\p{L}\\p{N}]++[\\r\\n]*+|[" ASAHI_SPACE
    "]++\\z"
    "|[" ASAHI_SPACE "]*[\\r\\n]|[" ASAHI_SPACE "]+(?![^" ASAHI_SPACE "])|[" ASAHI_SPACE "]";
constexpr char kO200k[] =
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*"
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    "|\\p{N}{1,3}| ?[^" ASAHI_SPACE "\\p{L}\\p{N}]+[\\r\\n/]*|[" ASAHI_SPACE
    "]*[\\r\\n]+"
    "|[" ASAHI_SPACE "]+(?![^" ASAHI_SPACE "])|[" ASAHI_SPACE "]+";
#undef ASAHI_SPACE

/// What matching needs besides the pattern, one per thread.
struct Scratch {
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(32 << 10, 1 << 20, nullptr);
  Scratch() {
    if (data == nullptr || context == nullptr || stack == nullptr) throw std::bad_alloc();
    pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~Scratch() {
    pcre2_jit_stack_free(stack);
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
};

Scratch& scratch() {
  thread_local Scratch mine;
  return mine;
}

}  // namespace

struct Encoding::Splitter {
  pcre2_code* code = nullptr;
  bool compiled = false;  ///< to machine code; where that is forbidden, PCRE2 interprets
  ~Splitter() { pcre2_code_free(code); }
};

Encoding::Encoding(std::string_view name, const unsigned char* table, const char* pattern)
    : name_(name), ranks_(table), splitter_(std::make_unique<Splitter>()) {
  int error = 0;
  PCRE2_SIZE at = 0;
  splitter_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern), PCRE2_ZERO_TERMINATED,
                                  PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK, &error, &at, nullptr);
  if (splitter_->code == nullptr)
    throw std::logic_error(fmt::format("PCRE2 refuses the pattern of {} at {}", name, at));
  splitter_->compiled = pcre2_jit_compile(splitter_->code, PCRE2_JIT_COMPLETE) == 0;
}

Encoding::~Encoding() = default;

template <class Sink>
Result<void> Encoding::each_piece(std::string_view text, Sink sink) const {
  if (!is_utf8(text))
    return fail(Errc::kInvalidArgument, "only UTF-8 text can be counted in tokens");
  Scratch& mine = scratch();
  const auto match = splitter_->compiled ? pcre2_jit_match : pcre2_match;
  const PCRE2_SIZE* const bounds = pcre2_get_ovector_pointer(mine.data);
  std::size_t at = 0;
  while (at < text.size()) {
    const int found = match(splitter_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                            at, PCRE2_NO_UTF_CHECK, mine.data, mine.context);
    // The patterns match at every place; anything else is a limit of PCRE2.
    if (found < 0 || bounds[0] != at || bounds[1] <= at) {
      return fail(
          Errc::kInternal,
          fmt::format("the text cannot be split into tokens: PCRE2 gave {} at byte {}", found, at));
    }
    sink(text.substr(at, bounds[1] - at));
    at = bounds[1];
  }
  return {};
}

Result<std::vector<TokenId>> Encoding::encode(std::string_view text) const {
  std::vector<TokenId> ids;
  ids.reserve(text.size() / 4 + 1);
  auto split = each_piece(text, [&](std::string_view piece) {
    const std::uint32_t whole = ranks_.rank(piece);
    if (whole != RankTable::kNone) {
      ids.push_back(whole);
    } else {
      join_byte_pairs(ranks_, piece, ids);
    }
  });
  if (!split) return std::unexpected(std::move(split.error()));
  return ids;
}

Result<std::int64_t> Encoding::count(std::string_view text) const {
  std::int64_t total = 0;
  std::vector<TokenId> ids;
  auto split = each_piece(text, [&](std::string_view piece) {
    if (ranks_.rank(piece) != RankTable::kNone) {
      ++total;
    } else {
      ids.clear();
      join_byte_pairs(ranks_, piece, ids);
      total += static_cast<std::int64_t>(ids.size());
    }
  });
  if (!split) return std::unexpected(std::move(split.error()));
  return total;
}

Result<std::string> Encoding::decode(std::span<const TokenId> ids) const {
  std::string text;
  for (const TokenId id : ids) {
    const std::string_view bytes = ranks_.bytes(id);
    if (bytes.empty())
      return fail(Errc::kInvalidArgument, fmt::format("{} has no token {}", name_, id));
    text += bytes;
  }
  return text;
}

const Encoding& cl100k_base() {
  static const Encoding encoding("cl100k_base", asahi_cl100k_ranks, kCl100k);
  return encoding;
}

const Encoding& o200k_base() {
  static const Encoding encoding("o200k_base", asahi_o200k_ranks, kO200k);
  return encoding;
}

const RankTable& o200k_ranks() {
  static const RankTable ranks(asahi_o200k_ranks);
  return ranks;
}

const Encoding* encoding_of(std::string_view model) {
  // "ft:gpt-4o-mini-2024-07-18:acme::id" is what its base is; gateways write "openai/gpt-4o".
  if (model.starts_with("ft:")) model.remove_prefix(3);
  if (const std::size_t slash = model.rfind('/'); slash != std::string_view::npos) {
    if (!model.starts_with("openai/")) return nullptr;
    model.remove_prefix(slash + 1);
  }
  const auto is = [&](std::initializer_list<std::string_view> prefixes) {
    for (const std::string_view prefix : prefixes) {
      if (model.starts_with(prefix)) return true;
    }
    return false;
  };
  if (is({"gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "gpt-oss", "chatgpt-4o", "o1", "o3", "o4"}))
    return &o200k_base();
  if (is({"gpt-4", "gpt-3.5", "gpt-35", "text-embedding-ada-002", "text-embedding-3"}))
    return &cl100k_base();
  if (model == "davinci-002" || model == "babbage-002") return &cl100k_base();
  return nullptr;
}

}  // namespace asahi::llm
