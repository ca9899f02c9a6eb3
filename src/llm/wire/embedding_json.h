#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "llm/message.h"

/// Vectors in JSON, as the embedding formats share them.
namespace asahi::llm::wire {

/// Empty when an element is no finite number.
std::optional<std::vector<float>> read_vector(const json::array& numbers);
/// A list of lists of one width. Empty when it is not.
std::optional<std::vector<std::vector<float>>> read_vectors(const json::array& rows);

/// Floats as little-endian bytes, base64 (OpenAI's encoding_format "base64").
std::string vector_to_base64(const std::vector<float>& vector);
std::optional<std::vector<float>> vector_from_base64(std::string_view text);

}  // namespace asahi::llm::wire
