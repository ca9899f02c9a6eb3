#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/vector/index.h"

namespace asahi::vector {

/// What every backend refuses, in the same words: invalid_argument with the field.
Result<void> check_space(const Space& space);
Result<void> check_tenant(std::string_view tenant);
Result<void> check_items(const Space& space, std::span<const Item> items);
Result<void> check_ids(std::span<const std::string> ids);
/// `field`: where the vector stands, say "items[3].vector".
Result<void> check_vector(const Space& space, std::span<const float> vector,
                          std::string_view field);
Result<void> check_query(const Space& space, std::span<const float> vector, std::size_t top_k,
                         const Metadata& filter);
/// Of erase_where: not empty.
Result<void> check_erase_filter(const Space& space, const Metadata& filter);

/// A vector of length 1 in the same direction; what came is finite and not zero.
std::vector<float> unit_vector(std::span<const float> vector);

/// The items without those that a later one of the same id replaces.
std::vector<Item> without_replaced(std::vector<Item> items);

/// True when `metadata` has every field of `filter` with that value.
bool matches(const Metadata& metadata, const Metadata& filter);

/// Cosines from elsewhere may be off by a rounding error, or not be numbers at all.
float clamp_score(double score);

/// A name for a collection that holds one space's vectors: `index_name` and a tag of model and
/// width, in letters, digits and underscores, beginning with a letter.
std::string collection_name(std::string_view index_name, const Space& space);

/// 32 hex digits that stand for a tenant's item where a backend limits the bytes of ids. SHA-256:
/// nobody makes two that meet.
std::string item_key(std::string_view tenant, std::string_view id);
/// The same written as a UUID (version 8, RFC 9562: bits of our own).
std::string item_uuid(std::string_view tenant, std::string_view id);

}  // namespace asahi::vector
