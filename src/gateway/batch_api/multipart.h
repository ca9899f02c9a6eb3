#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace asahi::gateway {

/// One part of a form. `content` points into the body that was read.
struct FormPart {
  std::string name;
  std::string filename;  ///< empty: a plain field
  std::string_view content;
};

/// Reads multipart/form-data (RFC 7578, RFC 2046 §5.1): at most 32 parts. Errors: invalid_argument
/// naming what is wrong with the body, or with the content type.
Result<std::vector<FormPart>> read_multipart(std::string_view content_type, std::string_view body);

}  // namespace asahi::gateway
