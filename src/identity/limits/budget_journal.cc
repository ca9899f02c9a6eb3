#include "identity/limits/budget_journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/ids.h"
#include "identity/limits/budget_records.h"

namespace asahi::identity {
namespace {

namespace records = budget_records;

constexpr std::size_t kMaxLeft = 64;

std::unexpected<Error> cannot(std::string_view what, const std::string& file) {
  return fail(Errc::kUnavailable,
              fmt::format("cannot {} the budget journal {}: {}; it needs a writable folder with "
                          "room",
                          what, file, std::strerror(errno)));
}

std::unexpected<Error> damaged(const std::string& file, const std::string& journal,
                               std::string_view why) {
  return fail(Errc::kCorrupt,
              fmt::format("the budget journal {} cannot be read: {}; restore it, or move {}* away: "
                          "the sums then come from the database as of its last flush",
                          file, why, journal));
}

Result<std::string> read_file(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  if (!in) return cannot("read", file);
  return bytes;
}

/// Numbers of the segments beside the checkpoint, ascending.
std::vector<std::uint64_t> segments_of(const std::string& journal) {
  const std::filesystem::path path(journal);
  const std::string prefix = path.filename().string() + ".";
  std::vector<std::uint64_t> numbers;
  std::error_code error;
  const auto parent = path.parent_path().empty() ? "." : path.parent_path();
  for (const auto& entry : std::filesystem::directory_iterator(parent, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    std::uint64_t number = 0;
    const char* const end = name.data() + name.size();
    const auto [stop, code] = std::from_chars(name.data() + prefix.size(), end, number);
    if (code == std::errc{} && stop == end && number > 0) numbers.push_back(number);
  }
  std::ranges::sort(numbers);
  return numbers;
}

/// Files that were being made when the process ended.
void remove_unfinished(const std::string& journal) {
  const std::filesystem::path path(journal);
  const std::string prefix = path.filename().string() + ".";
  std::error_code error;
  const auto parent = path.parent_path().empty() ? "." : path.parent_path();
  for (const auto& entry : std::filesystem::directory_iterator(parent, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(prefix) && name.ends_with(".new")) {
      std::filesystem::remove(entry.path(), error);
    }
  }
}

/// Applies segments from `covered + 1` on to the checkpoint's book.
Result<BudgetJournal::Recovered> replay_segments(const std::string& journal,
                                                 const std::vector<std::uint64_t>& numbers,
                                                 std::uint64_t covered, BudgetBook& book) {
  BudgetJournal::Recovered recovered;
  std::uint64_t expected = covered + 1;
  std::string torn_file;
  for (const std::uint64_t number : numbers) {
    if (number <= covered) continue;
    const std::string file = fmt::format("{}.{}", journal, number);
    if (number != expected) {
      return damaged(fmt::format("{}.{}", journal, expected), journal, "it is missing");
    }
    ++expected;
    ASAHI_TRY(const std::string bytes, read_file(file));
    auto header = records::read_header(bytes);
    if (!header) return damaged(file, journal, header.error().message);
    if (header->kind != records::FileKind::kSegment || header->number != number) {
      return damaged(file, journal, "its header names another file");
    }
    auto end = records::replay(bytes, number, book);
    if (!end) return damaged(file, journal, end.error().message);
    if (end->damaged) {
      return damaged(
          file, journal,
          fmt::format("the record at byte {} is bad, and good ones follow", end->offset));
    }
    if (end->records > 0 && !torn_file.empty()) {
      return damaged(torn_file, journal, "its end is bad, and later segments have records");
    }
    if (end->torn) torn_file = file;
    recovered.records += end->records;
  }
  recovered.torn = !torn_file.empty();
  return recovered;
}

Result<records::Header> read_checkpoint(const std::string& journal, BudgetBook& book) {
  ASAHI_TRY(const std::string bytes, read_file(journal));
  auto header = records::read_header(bytes);
  if (!header) return damaged(journal, journal, header.error().message);
  if (header->kind != records::FileKind::kCheckpoint) {
    return damaged(journal, journal, "its header names another file");
  }
  auto end = records::replay(bytes, header->number, book);
  if (!end) return damaged(journal, journal, end.error().message);
  if (!end->whole || end->torn) {
    return damaged(journal, journal, fmt::format("the record at byte {} is bad", end->offset));
  }
  return std::move(*header);
}

}  // namespace

struct BudgetJournal::Segment {
  std::uint64_t number = 0;
  char* data = nullptr;
  std::size_t size = 0;
  std::size_t used = records::kHeaderBytes;

  ~Segment() {
    if (data != nullptr) ::munmap(data, size);
  }
};

BudgetJournal::BudgetJournal(Options options) : options_(std::move(options)) {}

BudgetJournal::~BudgetJournal() = default;

std::string BudgetJournal::segment_file(std::uint64_t number) const {
  return fmt::format("{}.{}", options_.file, number);
}

Result<std::unique_ptr<BudgetJournal>> BudgetJournal::open(Options options, BudgetBook& book,
                                                           Clock::Time now) {
  std::unique_ptr<BudgetJournal> journal(new BudgetJournal(std::move(options)));  // NOLINT
  if (auto taken = journal->take_lock(); !taken) return std::unexpected(std::move(taken.error()));
  if (auto read = journal->recover(book, now); !read) {
    return std::unexpected(std::move(read.error()));
  }
  return journal;
}

Result<void> BudgetJournal::take_lock() {
  std::error_code error;
  const auto parent = std::filesystem::path(options_.file).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  const std::string file = options_.file + ".lock";
  lock_ = File::open(file, O_RDWR | O_CREAT);
  if (!lock_) return cannot("lock", file);
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(Errc::kUnavailable,
                fmt::format("another process has the budget journal {}; give each process a data "
                            "folder of its own",
                            options_.file));
  }
  return {};
}

Result<void> BudgetJournal::recover(BudgetBook& book, Clock::Time now) {
  std::error_code error;
  remove_unfinished(options_.file);
  const std::vector<std::uint64_t> numbers = segments_of(options_.file);
  if (std::filesystem::exists(options_.file, error)) {
    ASAHI_TRY(records::Header header, read_checkpoint(options_.file, book));
    node_ = header.node;
    covered_ = header.number;
    ASAHI_TRY(recovered_, replay_segments(options_.file, numbers, covered_, book));
  } else if (numbers.empty()) {
    node_ = random_id("n", 15);
  } else {
    return damaged(options_.file, options_.file, "it is missing, though segments of it exist");
  }
  recovered_.settled_at_estimate = book.settle_all_at_estimates();
  const std::uint64_t last = numbers.empty() ? covered_ : std::max(covered_, numbers.back());
  if (auto written = write_checkpoint(book, last, now); !written) return written;
  for (const std::uint64_t number : numbers) {
    std::filesystem::remove(segment_file(number), error);
  }
  ASAHI_TRY(current_, make_segment(last + 1));
  return {};
}

Result<void> BudgetJournal::write_checkpoint(const BudgetBook& book, std::uint64_t covered,
                                             Clock::Time now) {
  const std::string bytes =
      records::checkpoint(book, {records::FileKind::kCheckpoint, covered, node_}, now);
  if (auto replaced = replace_file(options_.file, bytes); !replaced) return replaced;
  covered_ = covered;
  return {};
}

Result<std::unique_ptr<BudgetJournal::Segment>> BudgetJournal::make_segment(std::uint64_t number) {
  const std::string name = segment_file(number);
  const std::string fresh = name + ".new";
  auto segment = std::make_unique<Segment>();
  segment->number = number;
  {
    const File file = File::open(fresh, O_RDWR | O_CREAT | O_TRUNC);
    if (!file) return cannot("extend", fresh);
    // Real blocks of zeros: a full disk is an error here, not a SIGBUS later. Pages come into
    // memory as they are written to.
    if (const int error =
            ::posix_fallocate(file.get(), 0, static_cast<off_t>(options_.segment_bytes));
        error != 0) {
      errno = error;
      auto failure = cannot("extend", fresh);
      ::unlink(fresh.c_str());
      return failure;
    }
    void* const data =
        ::mmap(nullptr, options_.segment_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (data == MAP_FAILED) return cannot("map", fresh);
    segment->data = static_cast<char*>(data);
    segment->size = options_.segment_bytes;
  }
  records::write_header(segment->data, {records::FileKind::kSegment, number, node_});
  if (::rename(fresh.c_str(), name.c_str()) != 0) return cannot("extend", name);
  return segment;
}

Result<void> BudgetJournal::room(std::size_t open, std::size_t names) {
  const std::size_t needed = records::kReserveBytes + (open + 1) * records::kSettleBytes + names +
                             kMaxBudgetAccounts * records::account_bytes(8);
  if (current_->size - current_->used >= needed) return {};
  if (needed > options_.segment_bytes - records::kHeaderBytes) {
    return fail(Errc::kUnavailable,
                fmt::format("{} calls are open at once, more than a budget journal segment of {} "
                            "bytes can settle; retry when some have ended",
                            open, options_.segment_bytes));
  }
  const std::scoped_lock lock(swap_mutex_);
  if (left_.size() >= kMaxLeft) {
    return fail(Errc::kUnavailable,
                fmt::format("the budget journal {} cannot be folded into its checkpoint; the log "
                            "says why",
                            options_.file));
  }
  if (next_ == nullptr) {
    ASAHI_TRY(next_, make_segment(current_->number + 1));
  }
  left_.push_back(std::move(current_));
  current_ = std::move(next_);
  due_ = true;
  return {};
}

void BudgetJournal::append(std::uint8_t type, std::uint16_t count,
                           std::span<const std::uint64_t> payload, std::string_view tail) {
  records::write_record(current_->data, current_->used, current_->number,
                        static_cast<records::Type>(type), count, payload, tail);
  current_->used += records::record_bytes(payload.size(), tail.size());
}

void BudgetJournal::append_account(std::uint32_t number, std::string_view name) {
  const std::array<std::uint64_t, 2> words{number, name.size()};
  append(static_cast<std::uint8_t>(records::Type::kAccount), 0, words, name);
}

void BudgetJournal::append_reserve(std::uint64_t id, const BudgetBook::Open& open) {
  append(static_cast<std::uint8_t>(records::Type::kReserve),
         static_cast<std::uint16_t>(open.accounts.size), records::Payload(open, id).words());
}

void BudgetJournal::append_settle(std::uint64_t id, Clock::Time at, NanoUsd cost) {
  const std::array<std::uint64_t, 3> words{
      id, static_cast<std::uint64_t>(at.time_since_epoch().count()),
      static_cast<std::uint64_t>(cost.nanos)};
  append(static_cast<std::uint8_t>(records::Type::kSettle), 0, words);
}

Result<void> BudgetJournal::prepare() {
  // Held while the segment is made: a writer that needs it meanwhile waits instead of making its
  // own.
  const std::scoped_lock lock(swap_mutex_);
  if (next_ != nullptr) return {};
  const std::uint64_t newest = left_.empty() ? covered_ : left_.back()->number;
  ASAHI_TRY(next_, make_segment(newest + 2));
  return {};
}

Result<bool> BudgetJournal::compact(Clock::Time now) {
  std::vector<std::uint64_t> numbers;
  {
    const std::scoped_lock lock(swap_mutex_);
    for (const auto& segment : left_) numbers.push_back(segment->number);
  }
  if (numbers.empty()) return false;
  BudgetBook book;
  ASAHI_TRY(const records::Header header, read_checkpoint(options_.file, book));
  ASAHI_TRY([[maybe_unused]] const auto read,
            replay_segments(options_.file, numbers, header.number, book));
  if (auto written = write_checkpoint(book, numbers.back(), now); !written) {
    return std::unexpected(std::move(written.error()));
  }
  {
    const std::scoped_lock lock(swap_mutex_);
    std::erase_if(left_, [&](const auto& segment) { return segment->number <= numbers.back(); });
  }
  std::error_code error;
  for (const std::uint64_t number : numbers) std::filesystem::remove(segment_file(number), error);
  return true;
}

}  // namespace asahi::identity
