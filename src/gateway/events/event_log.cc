#include "gateway/events/event_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace asahi::gateway {
namespace {

std::string reason() { return std::strerror(errno); }

}  // namespace

Result<EventLog> EventLog::open(std::string dir, const Clock& clock) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error) {
    return fail(Errc::kUnavailable,
                fmt::format("cannot create the event folder {}: {}", dir, error.message()));
  }
  EventLog log(std::move(dir), clock);
  if (auto rolled = log.roll(); !rolled) return std::unexpected(rolled.error());
  return log;
}

EventLog::EventLog(EventLog&& other) noexcept
    : dir_(std::move(other.dir_)),
      clock_(other.clock_),
      day_(std::move(other.day_)),
      file_(std::move(other.file_)),
      torn_(other.torn_) {}

EventLog::~EventLog() = default;

Result<void> EventLog::roll() {
  std::string day = format_date(clock_->now());
  if (file_ && day == day_) return {};
  const std::string path = fmt::format("{}/events_{}.jsonl", dir_, day);
  File file = File::open(path, O_RDWR | O_CREAT | O_APPEND);
  if (!file) return fail(Errc::kUnavailable, fmt::format("cannot open {}: {}", path, reason()));
  file_ = std::move(file);
  day_ = std::move(day);
  struct stat info{};
  char last = '\n';
  if (::fstat(file_.get(), &info) == 0 && info.st_size > 0 &&
      ::pread(file_.get(), &last, 1, info.st_size - 1) != 1)
    last = '\n';
  torn_ = last != '\n';
  return {};
}

Result<void> EventLog::append(std::string_view lines) {
  if (auto rolled = roll(); !rolled) return rolled;
  if (torn_) {
    if (::write(file_.get(), "\n", 1) != 1)
      return fail(Errc::kUnavailable, fmt::format("cannot write events: {}", reason()));
    torn_ = false;
  }
  while (!lines.empty()) {
    const ssize_t written = ::write(file_.get(), lines.data(), lines.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return fail(Errc::kUnavailable, fmt::format("cannot write events: {}", reason()));
    }
    lines.remove_prefix(static_cast<std::size_t>(written));
    torn_ = !lines.empty();
  }
  return {};
}

Result<void> EventLog::sync() {
  if (file_ && ::fdatasync(file_.get()) != 0) {
    return fail(Errc::kUnavailable, fmt::format("cannot sync events: {}", reason()));
  }
  return {};
}

std::vector<std::string> log_files(const std::string& dir) {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(dir, error)) {
    std::string name = entry.path().filename().string();
    if (name.size() == std::strlen("events_2026-11-21.jsonl") && name.starts_with("events_") &&
        name.ends_with(".jsonl")) {
      files.push_back(std::move(name));
    }
  }
  std::ranges::sort(files);
  return files;
}

Result<LogBatch> read_log(const std::string& dir, const LogPosition& from, std::size_t max_bytes) {
  LogBatch batch{.lines = {}, .next = from};
  const std::vector<std::string> files = log_files(dir);
  auto file = std::ranges::lower_bound(files, from.file);
  for (; file != files.end() && batch.lines.empty(); ++file) {
    const std::int64_t offset = *file == from.file ? from.offset : 0;
    const std::string path = dir + "/" + *file;
    const File in = File::open(path, O_RDONLY);
    if (!in) return fail(Errc::kUnavailable, fmt::format("cannot read {}: {}", path, reason()));
    struct stat info{};
    if (::fstat(in.get(), &info) != 0)
      return fail(Errc::kUnavailable, fmt::format("cannot read {}: {}", path, reason()));
    // Mostly little is new: a buffer for the most there may be would be cleared at each call for
    // nothing.
    const std::int64_t left = std::max<std::int64_t>(0, info.st_size - offset);
    std::string bytes(std::min(max_bytes, static_cast<std::size_t>(left)), '\0');
    const ssize_t got = ::pread(in.get(), bytes.data(), bytes.size(), offset);
    if (got < 0) return fail(Errc::kUnavailable, fmt::format("cannot read {}: {}", path, reason()));
    bytes.resize(static_cast<std::size_t>(got));
    std::size_t begin = 0;
    for (std::size_t end = bytes.find('\n'); end != std::string::npos;
         end = bytes.find('\n', begin)) {
      if (end > begin) batch.lines.push_back(bytes.substr(begin, end - begin));
      begin = end + 1;
    }
    if (begin == 0 && bytes.size() == max_bytes) {
      // A line longer than any event: skip it whole rather than stand still for ever.
      begin = bytes.size();
    }
    batch.next = {.file = *file, .offset = offset + static_cast<std::int64_t>(begin)};
  }
  return batch;
}

}  // namespace asahi::gateway
