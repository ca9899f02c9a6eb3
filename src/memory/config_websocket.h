#pragma once

#include <string_view>

#include "base/config/loader.h"
#include "memory/config.h"

namespace asahi::memory {

/// Reads `memory.websocket`, with what its settings ask of each other. `environment`: of the
/// process.
void bind_websocket(config::Binder& binder, config::Binder::Section memory,
                    MemoryConfig::WebSocket& ws, std::string_view environment);

}  // namespace asahi::memory
