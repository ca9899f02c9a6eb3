#pragma once

#include <functional>

#include "memory/hot/engine.h"

namespace asahi::memory::hot {

/// A write that waits.
struct Engine::Op {
  std::size_t weight = 0;
  bool writes = true;
  Clock::Steady queued_at{};
  std::move_only_function<Result<void>()> stage;
  std::move_only_function<void(Result<void>)> done;
};

}  // namespace asahi::memory::hot
