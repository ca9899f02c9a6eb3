#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gateway/batching/item.h"
#include "gateway/routing/model_profile.h"
#include "llm/message.h"

namespace asahi::gateway {

/// Tokens of the batch's own rules, and of one mark, with some to spare.
inline constexpr std::int64_t kBatchRuleTokens = 150;
inline constexpr std::int64_t kBatchMarkTokens = 10;

/// 48 random bits that occur in none of the items: what their authors cannot have known, they
/// cannot write. New for every batch.
std::string draw_tag(std::span<const BatchItem> items);

/// One model call that asks what all items ask. Items are data between marks `<<tag:number>>`; the
/// instructions that they have in common go out once, the batch's rules behind them.
llm::ChatRequest combine(std::span<const BatchItem> items, std::string_view tag,
                         const ModelProfile& model);

/// The answers in the order of the items; empty inside: the block held nothing. Errors: upstream,
/// for everything but exactly the format asked for: a block missing, twice or out of order, text
/// outside the blocks, the end missing, the tag inside an answer.
Result<std::vector<std::optional<std::string>>> split(std::string_view text, std::string_view tag,
                                                      std::size_t size);

/// True when an answer quotes eight words in a row of another item, which neither its own item nor
/// the common instructions hold: the model did not keep the texts apart.
bool quotes_neighbour(std::span<const BatchItem> items,
                      std::span<const std::optional<std::string>> answers);

}  // namespace asahi::gateway
