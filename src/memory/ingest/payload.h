#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "memory/ingest/decoder.h"
#include "memory/model/record.h"

namespace asahi::memory {

/// Why one item of an upload was left out. The others are not touched by it.
enum class ItemFault : std::uint8_t {
  kEmpty,     ///< no content: skipped, no error
  kNotJson,   ///< or no object
  kTooLarge,  ///< the item's text, or its content
  kBadId,
  kBadContent,    ///< no text, or with NUL
  kBadVector,     ///< wrong width, not numbers, not finite
  kBadTimestamp,  ///< no time, or ahead of the clock
  kBadMetadata,   ///< no object, or too large
  kBadSystem,
  kBroken,  ///< the JSON around the items is broken or cut: what follows is lost
};
/// "empty", "not_json", ….
std::string_view fault_name(ItemFault fault);

struct BadItem {
  std::uint64_t index = 0;  ///< of the item in the upload, from 0, over all its files
  ItemFault fault = ItemFault::kNotJson;
  std::string field;   ///< empty: the item
  std::string detail;  ///< what was expected
  bool operator==(const BadItem&) const = default;
};

/// Cuts the items out of text that comes in pieces: of `{"conversations": [...], …}` or of lines.
/// Holds one item at a time. Strings, nesting and brackets are followed; whether an item is good
/// JSON is for its reader to see. Pure.
class ItemScanner {
 public:
  enum class Format : std::uint8_t { kBundle, kLines };
  /// More than that is no memory: 1 MB of content, escaped at worst, with metadata and a vector.
  static constexpr std::size_t kMaxItem = 8 << 20;

  /// `list`: the name of the items' list in the object.
  explicit ItemScanner(Format format, std::size_t max_item = kMaxItem,
                       std::string list = "conversations")
      : format_(format), max_item_(max_item), list_(std::move(list)) {}

  enum class Step : std::uint8_t { kMore, kItem, kOversize, kBroken };
  /// Takes from the front of `text`. kMore: all of it is used up. kItem: `item()` until the next
  /// call; kOversize: one was passed over. kBroken: nothing more can be read, `why()` tells.
  Step next(std::string_view& text);
  /// The text ends here: the last line, or kMore when all is well, else kBroken.
  Step finish();
  std::string_view item() const { return item_; }
  const std::string& why() const { return why_; }
  /// Whether the list was there.
  bool found() const { return found_; }
  /// Keeps the object's other members from now on: `others()` is them as an object. Up to `most`
  /// bytes; more are broken().
  void keep_others(std::size_t most) { most_others_ = most; }
  std::string others() const { return "{" + others_ + "}"; }

 private:
  enum class At : std::uint8_t {
    kRoot,
    kKeyOrEnd,
    kKey,
    kColon,
    kValue,
    kSkip,
    kAfterValue,
    kItems,
    kInItem,
    kEnd,
    kBroken
  };
  Step next_in_bundle(std::string_view& text);
  Step next_line(std::string_view& text);
  Step broken(std::string why);
  std::string named(std::string_view text) const;
  /// Follows one value; true when it ended before or with the character at `at`.
  bool follow(char c, bool& used);
  void begin_value();

  const Format format_;
  const std::size_t max_item_;
  const std::string list_;
  std::size_t most_others_ = 0;
  std::string others_;
  At at_ = At::kRoot;
  std::string key_;
  std::string item_;
  std::string why_;
  std::string nesting_;  ///< the closing brackets that are due
  bool in_string_ = false;
  bool escaped_ = false;
  bool scalar_ = false;
  bool mismatch_ = false;
  bool oversize_ = false;
  bool found_ = false;  ///< "conversations" was there
  bool fresh_ = true;   ///< `item_` was given out
  bool comma_ = false;  ///< an item ended: a comma or the end comes
  std::size_t root_bytes_ = 0;
};

/// What an item becomes part of.
struct ItemRules {
  std::string tenant;
  std::string system_id;  ///< empty: the item says
  /// Where neither `system_id` nor the item says; empty: the item is bad.
  std::string default_system_id;
  std::string upload_id;
  Clock::Time uploaded_at;  ///< stands in for a missing timestamp
  Clock::Time now;
  std::string source = "session-buddy";  ///< where the item does not say
  /// Empty: metadata is kept whole. "http_push" and others: reduced to the fields of pushes (spec
  /// §3.8) and those that searches filter by.
  std::string method;
  std::size_t width = 384;      ///< of vectors
  std::string embedding_model;  ///< whose vectors are ours
  /// What the upload says its vectors are of, unless the item says; empty: nothing.
  std::string declared_model;
  /// Vectors of nobody knows which model: taken for ours, or (default) computed anew.
  bool trust_unlabelled = false;
};

/// The fields of one memory in all accepted spellings: id | memory_id | conversation_id, content |
/// text. A vector that is all zero or another model's counts as absent. The hash is computed, the
/// fingerprint is not. Pure; any thread.
/// `numbers`: of the vector where it was read apart (ItemDocument), null: it stands in the object.
std::expected<Memory, BadItem> read_item(const json::object& object, const ItemRules& rules,
                                         std::uint64_t index,
                                         const std::vector<float>* numbers = nullptr);
std::expected<Memory, BadItem> read_item(std::string_view text, const ItemRules& rules,
                                         std::uint64_t index);

/// "Session Buddy 2" → "session-buddy-2": lower case letters and digits, the rest '-'; at most 100
/// bytes, may be empty.
std::string slug(std::string_view text);

/// An upload's items out of its files' bytes, in bounded memory.
class PayloadReader {
 public:
  /// `skip`: so many items from the start are counted and left out (an earlier try stored them).
  explicit PayloadReader(DecodeLimits limits = {}, std::uint64_t skip = 0)
      : limits_(limits), skip_(skip) {}

  /// Begins the next file. Lines when the name ends in .jsonl or .ndjson (before .gz, .zst, .lz4).
  /// Errors: unavailable (the library of the compression is missing).
  Result<void> begin_file(const std::string& name, Compression compression);
  /// Bytes as they lie in the file; they stay until `next` gives nothing.
  void give(std::string bytes);
  struct Raw {
    std::uint64_t index;
    std::string_view text;  ///< valid until the next call; empty: see `fault`
    std::optional<BadItem> fault;
  };
  /// The next item; nothing: give more or end the file. Errors: those of Decoder.
  Result<std::optional<Raw>> next();
  /// The file ends; call `next` until it gives nothing once more. Errors: corrupt.
  Result<void> end_file();

  std::uint64_t items() const { return items_; }
  std::uint64_t bytes() const { return done_bytes_ + (decoder_ ? decoder_->bytes_in() : 0); }

 private:
  std::optional<Raw> take(ItemScanner::Step step);

  const DecodeLimits limits_;
  const std::uint64_t skip_;
  std::unique_ptr<Decoder> decoder_;
  std::optional<ItemScanner> scanner_;
  std::string bytes_;
  std::string_view text_;  ///< unpacked, not yet scanned
  std::uint64_t items_ = 0;
  std::uint64_t done_bytes_ = 0;
  std::uint64_t done_out_ = 0;
  bool broken_ = false;
  std::optional<ItemScanner::Step> last_;
};

/// Lines for names that end in .jsonl or .ndjson, before an ending of a compression.
ItemScanner::Format format_of_name(std::string_view file_name);

}  // namespace asahi::memory
