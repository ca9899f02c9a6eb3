#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace asahi::llm::onnx {

/// BERT's tokeniser (Devlin et al. 2018, after Wu et al. 2016): text is cleaned, cut at spaces and
/// punctuation, and each word taken apart from its beginning into the longest known pieces. Gives
/// the ids that a model was trained on. Immutable; any thread. Any bytes are a text.
class WordPiece {
 public:
  struct Options {
    bool clean = true;       ///< control characters go, every space is a space
    bool ideographs = true;  ///< Chinese characters are words of their own
    bool strip_accents = true;
    bool lowercase = true;
    std::string unknown = "[UNK]";
    std::string first = "[CLS]", last = "[SEP]";
    std::string continued = "##";    ///< stands before pieces that do not begin a word
    std::size_t longest_word = 100;  ///< in characters; longer ones are unknown
  };

  /// The largest vocabulary or tokeniser file.
  static constexpr std::size_t kMaxFileBytes = 64U << 20;

  /// `vocab.txt`: one piece a line, its id the number of the line. Whether it is of an uncased
  /// model shows in its pieces. Errors: invalid_argument saying what is missing.
  static Result<WordPiece> from_vocabulary(std::string_view lines);
  /// `tokenizer.json` of Hugging Face's tokenizers: model WordPiece with BERT's normaliser and
  /// pre-tokeniser. Errors: invalid_argument naming what is of another kind.
  static Result<WordPiece> from_json(std::string_view text);

  /// First and last token included, at most `max_tokens` (at least 2). What a text says of special
  /// tokens ("[SEP]") is text like any other.
  std::vector<std::int64_t> encode(std::string_view text, std::size_t max_tokens) const;

  std::size_t size() const { return pieces_; }
  const Options& options() const { return options_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  using Ids = std::unordered_map<std::string, std::int64_t, Hash, std::equal_to<>>;

  static Result<WordPiece> make(Options options, Ids ids);
  void add_word(std::u32string_view word, std::size_t most, std::vector<std::int64_t>& out) const;

  Options options_;
  Ids begins_, continues_;  ///< pieces without the sign that says so
  std::int64_t unknown_ = 0, first_ = 0, last_ = 0;
  std::size_t longest_piece_ = 0;  ///< in bytes
  std::size_t pieces_ = 0;
};

}  // namespace asahi::llm::onnx
