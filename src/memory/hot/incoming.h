#pragma once

#include <memory>
#include <string>

#include "memory/hot/engine.h"
#include "memory/hot/keyword.h"
#include "memory/hot/table.h"
#include "memory/hot/vectors.h"

namespace asahi::memory::hot {

/// A memory with what was worked out of it before its turn.
struct Engine::Incoming {
  Memory memory;
  Shelf* shelf = nullptr;
  FieldValues fields;
  std::string record;  ///< as it stands in the log
  std::unique_ptr<KeywordIndex::Reading> words;
  VectorSet::Code code;
};

}  // namespace asahi::memory::hot
