#pragma once

#include "memory/config.h"

namespace asahi::memory {

/// Reads `memory.traces` and `memory.fitness`.
void bind_fitness(config::Binder& binder, config::Binder::Section memory, MemoryConfig& config);

}  // namespace asahi::memory
