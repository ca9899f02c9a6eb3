#pragma once

#include <string>
#include <string_view>

namespace asahi::memory::text {

/// A folded word without its ending. ASCII: English endings and irregular forms
/// (llm/embed/stem.h), which also take the plural off most Romance words. Cyrillic: Russian light
/// endings (after Dolamic & Savoy, "Indexing and searching strategies for the Russian language",
/// 2009). Others stay. A word keeps at least three characters.
std::string stem(std::string_view word);

}  // namespace asahi::memory::text
