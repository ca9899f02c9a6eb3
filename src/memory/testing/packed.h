#pragma once

#include <string>
#include <string_view>

#include "memory/ingest/decoder.h"

namespace asahi::memory::testing {

/// `text` compressed, for payloads of tests.
std::string packed(Compression compression, std::string_view text);

}  // namespace asahi::memory::testing
