#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "llm/tokens/ranks.h"

namespace asahi::llm {

/// A byte-pair encoding of OpenAI with exactly the ids of its tiktoken library ("encode_ordinary":
/// what looks like a special token is text). Made at first use; immutable, any thread.
class Encoding {
 public:
  ~Encoding();
  Encoding(const Encoding&) = delete;
  Encoding& operator=(const Encoding&) = delete;

  std::string_view name() const { return name_; }
  const RankTable& ranks() const { return ranks_; }

  /// Errors: invalid_argument for text that is not UTF-8, internal when the splitter gave up.
  Result<std::vector<TokenId>> encode(std::string_view text) const;
  /// encode().size() without the ids.
  Result<std::int64_t> count(std::string_view text) const;
  /// The bytes of the tokens. Errors: invalid_argument for an id that no token has.
  Result<std::string> decode(std::span<const TokenId> ids) const;

 private:
  friend const Encoding& cl100k_base();
  friend const Encoding& o200k_base();
  Encoding(std::string_view name, const unsigned char* table, const char* pattern);
  template <class Sink>
  Result<void> each_piece(std::string_view text, Sink sink) const;

  struct Splitter;
  std::string_view name_;
  RankTable ranks_;
  std::unique_ptr<Splitter> splitter_;
};

/// GPT-4, GPT-3.5 and the text-embedding models.
const Encoding& cl100k_base();
/// GPT-4o and everything of OpenAI since, the o-series included.
const Encoding& o200k_base();

/// The tokens of o200k_base alone: their order is one of frequency in many languages.
const RankTable& o200k_ranks();

/// The encoding of a vendor's model by the vendor's name for it, dated and fine-tuned names
/// included; null: not a byte-pair model of OpenAI, or one older than GPT-3.5.
const Encoding* encoding_of(std::string_view model);

}  // namespace asahi::llm
