#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "identity/principal.h"

namespace asahi::gateway {

/// Who created a batch, as it is kept with the batch: its rows are answered in his name, also by
/// another process or after a restart.
std::string caller_json(const identity::Principal& caller);
/// Errors: corrupt.
Result<std::shared_ptr<const identity::Principal>> read_caller(std::string_view stored);

}  // namespace asahi::gateway
