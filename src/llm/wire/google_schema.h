#pragma once

#include <optional>

#include "base/json.h"

namespace asahi::llm::wire {

/// A JSON Schema in the OpenAPI subset that Gemini's `responseSchema` and `parameters` take
/// (https://ai.google.dev/api/caching#Schema): nullable instead of a null type, enums of strings,
/// annotations dropped. Empty when the schema needs more than the subset; Gemini takes such a
/// schema as it is under `responseJsonSchema` and `parametersJsonSchema`.
std::optional<json::value> to_google_schema(const json::value& schema);

}  // namespace asahi::llm::wire
