#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "identity/limits/budget_book.h"

/// The bytes of the budget journal: records within a file, without the files.
namespace asahi::identity::budget_records {

enum class Type : std::uint8_t {
  kAccount = 1,  ///< number, length, name
  kReserve = 2,  ///< id, since, estimate, account numbers two to a word; count: accounts
  kSettle = 3,   ///< id, at, cost
  kUse = 4,      ///< checkpoint: number, month, spent, requests, slices (number, spent, requests)
  kOpen = 5,     ///< checkpoint: as kReserve, its request already in kUse
  kNote = 6,     ///< checkpoint: last time, next id
  kEnd = 7,      ///< checkpoint: whole
};

inline constexpr std::size_t kHeaderBytes = 64;
inline constexpr std::size_t kRecordHead = 16;
inline constexpr std::size_t kReserveBytes = kRecordHead + 24 + 4 * kMaxBudgetAccounts;
inline constexpr std::size_t kSettleBytes = kRecordHead + 24;
constexpr std::size_t account_bytes(std::size_t name) {
  return kRecordHead + 16 + (name + 7) / 8 * 8;
}

enum class FileKind : std::uint64_t { kCheckpoint = 1, kSegment = 2 };
struct Header {
  FileKind kind = FileKind::kSegment;
  std::uint64_t number = 0;  ///< of the segment; the last one in the checkpoint
  std::string node;          ///< 16 characters
};
void write_header(char* out, const Header& header);
Result<Header> read_header(std::string_view file);

/// Words as a record stores them.
class Payload {
 public:
  explicit Payload(const BudgetBook::Open& open, std::uint64_t id);
  std::span<const std::uint64_t> words() const { return {words_.data(), size_}; }

 private:
  std::array<std::uint64_t, 3 + kMaxBudgetAccounts / 2> words_{};
  std::size_t size_ = 0;
};

/// Size of a record with so many payload words and bytes behind them.
constexpr std::size_t record_bytes(std::size_t words, std::size_t tail) {
  return kRecordHead + words * 8 + (tail + 7) / 8 * 8;
}
/// Writes a record at `file + offset`, its first word last. `place` is the number of the file.
void write_record(char* file, std::size_t offset, std::uint64_t place, Type type,
                  std::uint16_t count, std::span<const std::uint64_t> words,
                  std::string_view tail = {});

/// What the reader found behind the last good record.
struct ReadEnd {
  std::size_t offset = 0;
  std::size_t records = 0;
  bool torn = false;     ///< bytes that are no record
  bool damaged = false;  ///< and good records behind them
  bool whole = false;    ///< a kEnd was read
};
/// Applies the records of a file to `book`. Errors: corrupt (a good record that makes no sense).
Result<ReadEnd> replay(std::string_view file, std::uint64_t place, BudgetBook& book);

/// A whole checkpoint file; what is no longer of use at `now` is left out.
std::string checkpoint(const BudgetBook& book, const Header& header, Clock::Time now);

}  // namespace asahi::identity::budget_records
