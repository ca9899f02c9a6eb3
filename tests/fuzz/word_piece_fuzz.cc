// Any bytes as a tokeniser's file and as a text: what is read tokenises anything, within its limit,
// between its special tokens, and a shorter limit only cuts.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "llm/embed/onnx/word_piece.h"

namespace {

using asahi::llm::onnx::WordPiece;

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const WordPiece& tokens, std::string_view text) {
  const auto whole = tokens.encode(text, 512), part = tokens.encode(text, 7);
  require(whole.size() >= 2 && whole.size() <= 512);
  require(part.size() <= 7 && part.front() == whole.front() && part.back() == whole.back());
  require(std::equal(part.begin(), part.end() - 1, whole.begin()));
  require(tokens.encode(text, 512) == whole);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const WordPiece kUncased =
      *WordPiece::from_vocabulary("[UNK]\n[CLS]\n[SEP]\na\nb\n##a\n##b\n1\n,\n\u535A\n##\u00DF\n");
  static const WordPiece kCased =
      *WordPiece::from_vocabulary("[UNK]\n[CLS]\n[SEP]\nA\nB\n##a\n##B\n1\n,\n\u0130\n");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(kUncased, text);
  check(kCased, text);
  const std::size_t cut = std::min(text.find('\x01'), text.size());
  const std::string_view file = text.substr(0, cut), rest = text.substr(cut);
  if (const auto tokens = WordPiece::from_vocabulary(file)) check(*tokens, rest);
  if (const auto tokens = WordPiece::from_json(file)) check(*tokens, rest);
  return 0;
}
