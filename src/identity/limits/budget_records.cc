#include "identity/limits/budget_records.h"

#include <algorithm>
#include <array>
#include <atomic>

namespace asahi::identity::budget_records {
namespace {

constexpr std::uint64_t kMagic = 0x314C'4447'4841'5341;  // "ASAHGDL1"
constexpr std::size_t kNodeBytes = 16;
constexpr std::size_t kMaxName = 4096;

/// Not for security: each step is a bijection of the word, so any change within one word is seen.
std::uint64_t mix(std::uint64_t hash, std::uint64_t word) {
  hash = (hash ^ word) * 0x9E37'79B9'7F4A'7C15;
  return hash ^ (hash >> 32);
}

std::uint64_t load(const char* at) {
  std::uint64_t word;
  std::memcpy(&word, at, 8);
  return word;
}

void store(char* at, std::uint64_t word) { std::memcpy(at, &word, 8); }

std::uint64_t check_of(const char* record, std::size_t bytes, std::uint64_t first,
                       std::uint64_t place, std::size_t offset) {
  std::uint64_t hash = mix(mix(mix(kMagic, place), offset), first);
  for (std::size_t at = kRecordHead; at < bytes; at += 8) hash = mix(hash, load(record + at));
  return hash;
}

struct Record {
  Type type = Type::kEnd;
  std::uint16_t count = 0;
  std::size_t bytes = 0;  ///< 0: none here
  const char* payload = nullptr;

  std::size_t words() const { return (bytes - kRecordHead) / 8; }
  std::uint64_t word(std::size_t i) const { return load(payload + i * 8); }
  std::int64_t number(std::size_t i) const { return static_cast<std::int64_t>(word(i)); }
  Clock::Time time(std::size_t i) const { return Clock::Time{std::chrono::nanoseconds{number(i)}}; }
};

Record record_at(std::string_view file, std::size_t offset, std::uint64_t place) {
  if (offset + kRecordHead > file.size()) return {};
  const char* at = file.data() + offset;
  const std::uint64_t first = load(at);
  const std::size_t bytes = static_cast<std::uint32_t>(first);
  if (bytes < kRecordHead || bytes % 8 != 0 || bytes > file.size() - offset) return {};
  if (load(at + 8) != check_of(at, bytes, first, place, offset)) return {};
  return {static_cast<Type>((first >> 32) & 0xFF), static_cast<std::uint16_t>(first >> 48), bytes,
          at + kRecordHead};
}

bool good_behind(std::string_view file, std::size_t offset, std::uint64_t place) {
  for (offset += 8; offset + kRecordHead <= file.size(); offset += 8) {
    if (load(file.data() + offset) != 0 && record_at(file, offset, place).bytes != 0) return true;
  }
  return false;
}

std::unexpected<Error> senseless(std::size_t offset) {
  return fail(Errc::kCorrupt,
              "the record at byte " + std::to_string(offset) + " does not fit those before it");
}

/// False when the record makes no sense.
bool apply(const Record& record, BudgetBook& book) {
  const std::size_t words = record.words();
  switch (record.type) {
    case Type::kAccount: {
      if (words < 2 || record.word(0) > UINT32_MAX / 2) return false;
      const std::size_t length = record.word(1);
      if (length == 0 || length > kMaxName || (length + 7) / 8 != words - 2) return false;
      book.define(static_cast<std::uint32_t>(record.word(0)),
                  std::string(record.payload + 16, length));
      return true;
    }
    case Type::kReserve:
    case Type::kOpen: {
      const std::size_t count = record.count;
      if (count > kMaxBudgetAccounts || words != 3 + (count + 1) / 2) return false;
      BudgetBook::Open open{{record.number(2)}, record.time(1), {}};
      for (std::size_t i = 0; i < count; ++i) {
        const auto number = static_cast<std::uint32_t>(record.word(3 + i / 2) >> (i % 2 * 32));
        if (!book.has(number)) return false;
        open.accounts.add(number);
      }
      if (book.is_open(record.word(0))) return false;
      record.type == Type::kReserve ? book.reserve(record.word(0), open)
                                    : book.reopen(record.word(0), open);
      return true;
    }
    case Type::kSettle:
      return words == 3 &&
             book.settle(record.word(0), record.time(1), {record.number(2)}).has_value();
    case Type::kUse: {
      const std::size_t count = record.count;
      if (words != 4 + 3 * count || record.word(0) > UINT32_MAX) return false;
      const auto number = static_cast<std::uint32_t>(record.word(0));
      if (!book.has(number)) return false;
      BudgetWindow& used = book.at(number).used;
      used.put_month(record.number(1), {{record.number(2)}, record.number(3)});
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t at = 4 + 3 * i;
        used.put_slice(record.number(at), {{record.number(at + 1)}, record.number(at + 2)});
      }
      return true;
    }
    case Type::kNote:
      if (words != 2) return false;
      book.note(record.time(0), record.word(1));
      return true;
    case Type::kEnd:
      return words == 0;
  }
  return false;
}

}  // namespace

void write_header(char* out, const Header& header) {
  std::array<std::uint64_t, kHeaderBytes / 8> words{};
  words[0] = kMagic;
  words[1] = static_cast<std::uint64_t>(header.kind);
  words[2] = header.number;
  std::memcpy(&words[3], header.node.data(), std::min(header.node.size(), kNodeBytes));
  std::uint64_t hash = kMagic;
  for (std::size_t i = 1; i + 1 < words.size(); ++i) hash = mix(hash, words[i]);
  words.back() = hash;
  std::memcpy(out, words.data(), kHeaderBytes);
}

Result<Header> read_header(std::string_view file) {
  if (file.size() < kHeaderBytes) return fail(Errc::kCorrupt, "its header is cut off");
  if (load(file.data()) != kMagic) return fail(Errc::kCorrupt, "it is not a budget journal");
  std::uint64_t hash = kMagic;
  for (std::size_t at = 8; at + 8 < kHeaderBytes; at += 8) hash = mix(hash, load(file.data() + at));
  if (load(file.data() + kHeaderBytes - 8) != hash) {
    return fail(Errc::kCorrupt, "its header's checksum is wrong");
  }
  return Header{static_cast<FileKind>(load(file.data() + 8)), load(file.data() + 16),
                std::string(file.substr(24, kNodeBytes))};
}

Payload::Payload(const BudgetBook::Open& open, std::uint64_t id) {
  words_[0] = id;
  words_[1] = static_cast<std::uint64_t>(open.since.time_since_epoch().count());
  words_[2] = static_cast<std::uint64_t>(open.estimate.nanos);
  const auto numbers = open.accounts.view();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    words_[3 + i / 2] |= static_cast<std::uint64_t>(numbers[i]) << (i % 2 * 32);
  }
  size_ = 3 + (numbers.size() + 1) / 2;
}

void write_record(char* file, std::size_t offset, std::uint64_t place, Type type,
                  std::uint16_t count, std::span<const std::uint64_t> words,
                  std::string_view tail) {
  char* const at = file + offset;
  const std::size_t bytes = record_bytes(words.size(), tail.size());
  char* out = at + kRecordHead;
  if (!words.empty()) std::memcpy(out, words.data(), words.size() * 8);
  out += words.size() * 8;
  if (!tail.empty()) {
    store(at + bytes - 8, 0);  // the padding
    std::memcpy(out, tail.data(), tail.size());
  }
  const std::uint64_t first =
      bytes | static_cast<std::uint64_t>(type) << 32 | static_cast<std::uint64_t>(count) << 48;
  store(at + 8, check_of(at, bytes, first, place, offset));
  // A process killed before this store has written nothing; the fence keeps the compiler to it.
  std::atomic_signal_fence(std::memory_order_release);
  std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(at))
      .store(first, std::memory_order_release);
}

Result<ReadEnd> replay(std::string_view file, std::uint64_t place, BudgetBook& book) {
  ReadEnd end;
  end.offset = kHeaderBytes;
  for (;;) {
    const Record record = record_at(file, end.offset, place);
    if (record.bytes == 0) break;
    if (!apply(record, book)) return senseless(end.offset);
    ++end.records;
    end.offset += record.bytes;
    end.whole = record.type == Type::kEnd;
  }
  const std::string_view rest = file.substr(std::min(end.offset, file.size()));
  end.torn = std::ranges::any_of(rest, [](char c) { return c != '\0'; });
  end.damaged = end.torn && good_behind(file, end.offset, place);
  return end;
}

std::string checkpoint(const BudgetBook& book, const Header& header, Clock::Time now) {
  std::string file(kHeaderBytes, '\0');
  write_header(file.data(), header);
  const auto add = [&](Type type, std::uint16_t count, std::span<const std::uint64_t> words,
                       std::string_view tail = {}) {
    const std::size_t offset = file.size();
    file.resize(offset + record_bytes(words.size(), tail.size()));
    write_record(file.data(), offset, header.number, type, count, words, tail);
  };
  std::vector<std::uint64_t> words;
  const auto put = [&](std::int64_t word) { words.push_back(static_cast<std::uint64_t>(word)); };
  for (std::uint32_t number = 0; number < book.end(); ++number) {
    if (!book.has(number)) continue;
    const BudgetBook::Account& account = book.at(number);
    words = {number, account.name.size()};
    add(Type::kAccount, 0, words, account.name);
    words = {number};
    put(account.used.month_number());
    put(account.used.month_sums().spent.nanos);
    put(account.used.month_sums().requests);
    const std::int64_t oldest = slice_of(now) - kSlicesPerDay;
    std::uint16_t count = 0;
    for (const auto& slice : account.used.slices()) {
      if (slice.number < oldest) continue;
      put(slice.number);
      put(slice.sums.spent.nanos);
      put(slice.sums.requests);
      ++count;
    }
    add(Type::kUse, count, words);
  }
  for (const auto& [id, open] : book.open()) {
    add(Type::kOpen, static_cast<std::uint16_t>(open.accounts.size), Payload(open, id).words());
  }
  words.clear();
  put(book.last_time().time_since_epoch().count());
  words.push_back(book.next_id());
  add(Type::kNote, 0, words);
  add(Type::kEnd, 0, {});
  return file;
}

}  // namespace asahi::identity::budget_records
