#include "llm/embed/onnx/word_piece.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/json.h"
#include "base/utf8.h"
#include "llm/embed/onnx/unicode.h"

namespace asahi::llm::onnx {
namespace {

std::unexpected<Error> another_kind(std::string_view what, std::string_view found,
                                    std::string_view expected) {
  return fail(Errc::kInvalidArgument,
              fmt::format("the tokeniser's {} is '{}', expected {}; only BERT's word pieces are "
                          "known here",
                          what, mended_utf8(found.substr(0, 60)), expected));
}

std::string_view text_at(const json::object& object, std::string_view key) {
  const json::value* const found = object.if_contains(key);
  return found != nullptr && found->is_string() ? std::string_view(found->get_string())
                                                : std::string_view();
}

const json::object* object_at(const json::object& object, std::string_view key) {
  const json::value* const found = object.if_contains(key);
  return found == nullptr ? nullptr : found->if_object();
}

bool flag_at(const json::object& object, std::string_view key, bool otherwise) {
  const json::value* const found = object.if_contains(key);
  return found != nullptr && found->is_bool() ? found->get_bool() : otherwise;
}

Result<void> read_normalizer(const json::object& root, WordPiece::Options& options) {
  const json::object* const normalizer = object_at(root, "normalizer");
  if (normalizer == nullptr) {
    options.clean = options.ideographs = options.strip_accents = options.lowercase = false;
    return {};
  }
  if (text_at(*normalizer, "type") != "BertNormalizer")
    return another_kind("normalizer", text_at(*normalizer, "type"), "BertNormalizer");
  options.clean = flag_at(*normalizer, "clean_text", true);
  options.ideographs = flag_at(*normalizer, "handle_chinese_chars", true);
  options.lowercase = flag_at(*normalizer, "lowercase", true);
  // Null: as the lower case says.
  options.strip_accents = flag_at(*normalizer, "strip_accents", options.lowercase);
  return {};
}

/// The first and the last token: `cls` and `sep` of BertProcessing and RobertaProcessing, or the
/// special tokens around the text of a template.
Result<void> read_ends(const json::object& root, WordPiece::Options& options) {
  const json::object* const post = object_at(root, "post_processor");
  if (post == nullptr) return {};
  const std::string_view kind = text_at(*post, "type");
  if (kind == "BertProcessing" || kind == "RobertaProcessing") {
    for (const auto& [key, into] :
         {std::pair{"cls", &options.first}, std::pair{"sep", &options.last}}) {
      const json::value* const pair = post->if_contains(key);
      const json::array* const items = pair == nullptr ? nullptr : pair->if_array();
      if (items == nullptr || items->empty() || !items->front().is_string())
        return another_kind("post_processor", kind, fmt::format("a pair '{}'", key));
      *into = std::string(std::string_view(items->front().get_string()));
    }
    return {};
  }
  const json::value* const single = post->if_contains("single");
  const json::array* const steps = single == nullptr ? nullptr : single->if_array();
  if (kind != "TemplateProcessing" || steps == nullptr || steps->size() != 3)
    return another_kind("post_processor", kind, "a template of one token, the text and one token");
  const auto special = [](const json::value& step) -> std::string {
    const json::object* const object = step.if_object();
    const json::object* const token =
        object == nullptr ? nullptr : object_at(*object, "SpecialToken");
    return token == nullptr ? std::string() : std::string(text_at(*token, "id"));
  };
  options.first = special(steps->front());
  options.last = special(steps->back());
  if (options.first.empty() || options.last.empty())
    return another_kind("post_processor", kind, "special tokens at both ends");
  return {};
}

bool has_capitals(std::string_view piece) {
  if (piece.starts_with('[') || piece.starts_with('<')) return false;
  for (std::size_t at = 0; at < piece.size();) {
    const char32_t c = next_character(piece, at);
    if (lower_of(c) != c) return true;
  }
  return false;
}

}  // namespace

Result<WordPiece> WordPiece::make(Options options, Ids ids) {
  WordPiece made;
  const auto take = [&ids](const std::string& piece, std::int64_t& id) -> Result<void> {
    const auto found = ids.find(piece);
    if (found == ids.end()) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("the vocabulary has no '{}'; expected that of a BERT model",
                              mended_utf8(piece.substr(0, 60))));
    }
    id = found->second;
    return {};
  };
  for (const auto& [piece, id] :
       {std::pair{&options.unknown, &made.unknown_}, std::pair{&options.first, &made.first_},
        std::pair{&options.last, &made.last_}}) {
    if (auto known = take(*piece, *id); !known) return std::unexpected(std::move(known.error()));
  }
  made.pieces_ = ids.size();
  while (!ids.empty()) {
    auto node = ids.extract(ids.begin());
    std::string& piece = node.key();
    const bool continues = !options.continued.empty() && piece.starts_with(options.continued) &&
                           piece.size() > options.continued.size();
    if (continues) piece.erase(0, options.continued.size());
    made.longest_piece_ = std::max(made.longest_piece_, piece.size());
    (continues ? made.continues_ : made.begins_).insert(std::move(node));
  }
  // Without a sign every piece may stand anywhere.
  if (options.continued.empty()) made.continues_ = made.begins_;
  made.options_ = std::move(options);
  return made;
}

Result<WordPiece> WordPiece::from_vocabulary(std::string_view lines) {
  Ids ids;
  std::int64_t id = 0;
  std::size_t capitals = 0;
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    std::string_view piece = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    if (piece.ends_with('\r')) piece.remove_suffix(1);
    if (has_capitals(piece)) ++capitals;
    ids.insert_or_assign(std::string(piece), id++);
  }
  Options options;
  // An uncased vocabulary has none; a few may be marks of its makers.
  options.lowercase = options.strip_accents = capitals * 1'000 <= ids.size();
  return make(std::move(options), std::move(ids));
}

Result<WordPiece> WordPiece::from_json(std::string_view text) {
  ASAHI_TRY(const auto document, JsonDocument::parse(text));
  const json::object* const root = document->root().if_object();
  const json::object* const model = root == nullptr ? nullptr : object_at(*root, "model");
  if (model == nullptr)
    return fail(Errc::kInvalidArgument, "the tokeniser's file has no object 'model'");
  Options options;
  // Old files do not say what they are, and WordPiece alone has this field.
  const bool untyped = model->if_contains("type") == nullptr &&
                       model->if_contains("max_input_chars_per_word") != nullptr;
  if (text_at(*model, "type") != "WordPiece" && !untyped)
    return another_kind("model", text_at(*model, "type"), "WordPiece");
  if (auto done = read_normalizer(*root, options); !done)
    return std::unexpected(std::move(done.error()));
  if (const json::object* const cutter = object_at(*root, "pre_tokenizer");
      cutter == nullptr || text_at(*cutter, "type") != "BertPreTokenizer") {
    return another_kind("pre_tokenizer", cutter == nullptr ? "null" : text_at(*cutter, "type"),
                        "BertPreTokenizer");
  }
  if (auto done = read_ends(*root, options); !done) return std::unexpected(std::move(done.error()));
  if (model->if_contains("unk_token") != nullptr)
    options.unknown = std::string(text_at(*model, "unk_token"));
  if (model->if_contains("continuing_subword_prefix") != nullptr)
    options.continued = std::string(text_at(*model, "continuing_subword_prefix"));
  if (const json::value* const longest = model->if_contains("max_input_chars_per_word"))
    options.longest_word = static_cast<std::size_t>(
        std::clamp<std::int64_t>(longest->is_int64() ? longest->get_int64() : 100, 1, 10'000));
  const json::object* const vocabulary = object_at(*model, "vocab");
  if (vocabulary == nullptr)
    return fail(Errc::kInvalidArgument, "the tokeniser's model has no object 'vocab'");
  Ids ids;
  ids.reserve(vocabulary->size());
  for (const auto& member : *vocabulary) {
    if (!member.value().is_int64() || member.value().get_int64() < 0 ||
        member.value().get_int64() > INT32_MAX)
      return fail(Errc::kInvalidArgument, "the tokeniser's vocabulary has an id that is no number");
    ids.insert_or_assign(std::string(std::string_view(member.key())), member.value().get_int64());
  }
  return make(std::move(options), std::move(ids));
}

void WordPiece::add_word(std::u32string_view word, std::size_t most,
                         std::vector<std::int64_t>& out) const {
  if (word.size() > options_.longest_word) {
    out.push_back(unknown_);
    return;
  }
  std::string text;
  std::vector<std::size_t> borders;  // of characters, in bytes
  for (const char32_t c : word) {
    borders.push_back(text.size());
    append_utf8(text, c);
  }
  borders.push_back(text.size());
  const std::size_t before = out.size();
  for (std::size_t begin = 0; begin + 1 < borders.size();) {
    const Ids& ids = begin == 0 ? begins_ : continues_;
    std::size_t end = borders.size() - 1;
    auto found = ids.end();
    for (; end > begin; --end) {
      const std::size_t length = borders[end] - borders[begin];
      if (length > longest_piece_) continue;
      found = ids.find(std::string_view(text).substr(borders[begin], length));
      if (found != ids.end()) break;
    }
    if (found == ids.end()) {
      // A word is known as a whole or not at all.
      out.resize(before);
      out.push_back(unknown_);
      return;
    }
    out.push_back(found->second);
    begin = end;
  }
  if (out.size() > most) out.resize(most);
}

std::vector<std::int64_t> WordPiece::encode(std::string_view text, std::size_t max_tokens) const {
  const std::size_t most = std::max<std::size_t>(max_tokens, 2) - 1;  // the last token comes after
  std::vector<std::int64_t> out{first_};
  std::u32string word, letters;
  // Of a longer word only its length matters.
  const auto grow = [&](char32_t c) {
    if (word.size() <= options_.longest_word) word += c;
  };
  const auto finish = [&] {
    if (!word.empty() && out.size() < most) add_word(word, most, out);
    word.clear();
  };
  for (std::size_t at = 0; at < text.size() && out.size() < most;) {
    const char32_t c = next_character(text, at);
    const bool blank = c == U' ' || c == U'\t' || c == U'\n' || c == U'\r';
    if (options_.clean && !blank && (c == 0 || c == 0xFFFD || class_of(c) == CharClass::kControl))
      continue;
    letters.clear();
    if (options_.strip_accents) {
      append_bare(letters, c);
    } else {
      letters += c;
    }
    const bool alone = options_.ideographs && is_ideograph(c);
    if (alone) finish();
    for (const char32_t letter : letters) {
      const char32_t shown = options_.lowercase ? lower_of(letter) : letter;
      if (shown == U'\t' || shown == U'\n' || shown == U'\r' ||
          class_of(shown) == CharClass::kSpace) {
        finish();
      } else if (is_punctuation(shown)) {
        finish();
        grow(shown);
        finish();
      } else {
        grow(shown);
      }
    }
    if (alone) finish();
  }
  finish();
  out.push_back(last_);
  return out;
}

}  // namespace asahi::llm::onnx
