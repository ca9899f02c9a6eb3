#include "gateway/archive/event_archive.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/file.h"
#include "base/hash.h"
#include "base/policy/retry.h"
#include "base/scheduling.h"
#include "base/sha256_stream.h"
#include "gateway/archive/gzip.h"
#include "gateway/events/event_log.h"
#include "net/blocking.h"
#include "storage/object/open_store.h"

namespace asahi::gateway {
namespace {

using std::chrono::days;

constexpr std::string_view kFolder = "events/", kEnding = ".jsonl.gz";
constexpr std::size_t kPiece = 256 * 1024;
/// No event is as long; a longer line belongs to nobody and stays as it is.
constexpr std::size_t kLongestLine = 16 * 1024 * 1024;

/// "events_2026-11-22.jsonl" -> "2026-11-22".
std::string day_text(const std::string& file) { return file.substr(7, 10); }

Clock::Time start_of(std::string_view day) {
  return parse_rfc3339(fmt::format("{}T00:00:00Z", day)).value_or(Clock::Time::max());
}

std::string key_of(const std::string& day, const std::string& node) {
  return fmt::format("{}{}/{}{}", kFolder, day, node, kEnding);
}
struct Named {
  std::string day, node;
};
/// Empty for objects that are not ours.
std::optional<Named> parse_key(std::string_view key) {
  if (!key.starts_with(kFolder) || !key.ends_with(kEnding)) return std::nullopt;
  key.remove_prefix(kFolder.size());
  key.remove_suffix(kEnding.size());
  if (key.size() < 12 || key[10] != '/' || start_of(key.substr(0, 10)) == Clock::Time::max())
    return std::nullopt;
  return Named{std::string(key.substr(0, 10)), std::string(key.substr(11))};
}

/// The organisations whose events of a whole day are due, as a digest: another digest than the one
/// an object was cleaned by means that it has to be cleaned again.
std::string due_digest(const LogRules& rules, Clock::Time day) {
  const Clock::Time end = day + days(1);
  std::string due;
  for (const auto& [org, cutoff] : rules.cutoffs) {
    if (end <= cutoff) due += fmt::format("{}:{};", org.size(), org);
  }
  if (end <= rules.default_cutoff) due += '*';
  return due.empty() ? "" : to_hex(sha256(due)).substr(0, 32);
}

/// Calls `take` with each piece of a file.
Result<void> each_piece(const std::string& path, const ByteSink& take) {
  const File file = File::open(path, O_RDONLY);
  if (!file) return file_error("read", path);
  std::string piece(kPiece, '\0');
  for (;;) {
    const ssize_t got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return file_error("read", path);
    if (got == 0) return {};
    if (auto taken = take({piece.data(), static_cast<std::size_t>(got)}); !taken) return taken;
  }
}

/// Plain bytes into a gzip file, counted and hashed.
class PackedFile {
 public:
  explicit PackedFile(std::string path)
      : path_(std::move(path)), file_(File::open(path_, O_WRONLY | O_CREAT | O_TRUNC)) {}
  ~PackedFile() { ::unlink(path_.c_str()); }
  PackedFile(const PackedFile&) = delete;
  PackedFile& operator=(const PackedFile&) = delete;

  Result<void> add(std::string_view bytes) {
    if (!file_) return file_error("write", path_);
    hash_.add(bytes);
    bytes_ += bytes.size();
    return gzip_.write(bytes);
  }
  Result<void> finish() {
    if (!file_) return file_error("write", path_);
    if (auto done = gzip_.finish(); !done) return done;
    sha256_ = to_hex(hash_.finish());
    file_.close();
    return {};
  }
  const std::string& path() const { return path_; }
  std::uint64_t bytes() const { return bytes_; }
  const std::string& sha256() const { return sha256_; }

 private:
  std::string path_;
  File file_;
  GzipWriter gzip_{[this](std::string_view packed) -> Result<void> {
    if (!write_all(file_.get(), packed)) return file_error("write", path_);
    return {};
  }};
  Sha256Stream hash_;
  std::uint64_t bytes_ = 0;
  std::string sha256_;
};

/// Cuts bytes into lines.
class Lines {
 public:
  explicit Lines(std::function<Result<void>(std::string_view line)> take)
      : take_(std::move(take)) {}
  Result<void> add(std::string_view bytes) {
    for (;;) {
      const std::size_t end = bytes.find('\n');
      if (end == std::string_view::npos) break;
      rest_ += bytes.substr(0, end + 1);
      bytes.remove_prefix(end + 1);
      auto taken = take_(rest_);
      rest_.clear();
      if (!taken) return taken;
    }
    if (rest_.size() + bytes.size() > kLongestLine) {
      rest_ += bytes;
      auto taken = take_(rest_);
      rest_.clear();
      return taken;
    }
    rest_ += bytes;
    return {};
  }
  Result<void> finish() { return rest_.empty() ? Result<void>{} : take_(rest_); }

 private:
  std::function<Result<void>(std::string_view)> take_;
  std::string rest_;
};

}  // namespace

/// A row of `event_archives`.
struct EventArchive::Note {
  std::string key, day, node;
  std::int64_t source_size = 0;  ///< of the file when it was stored
  std::int64_t source_time = 0;  ///< its time of change, ns
  std::string sha256;            ///< of the content, unpacked
  std::string next_sha256;       ///< of what is about to be put in its place; mostly empty
  std::int64_t bytes = 0;        ///< unpacked
  std::string due_digest;
  Clock::Time rules_of{};  ///< when the rules were read that the content obeys
};

struct EventArchive::Run {
  const LogRules& rules;
  std::string open_file;
  ArchiveReport report = {};
  std::map<std::string, Note, std::less<>> notes = {};  ///< by key
  std::optional<Error> first_failure = {};
};

json::object report_json(const ArchiveReport& report) {
  return {{"stored", report.stored},
          {"removed_here", report.removed_here},
          {"expired", report.expired},
          {"rewritten", report.rewritten},
          {"erased_lines", report.erased_lines}};
}

Result<std::unique_ptr<object::ObjectStore>> open_archive(const ArchiveConfig& config) {
  using Addressing = object::S3Options::Addressing;
  return object::open_store(
      {.url = config.url,
       .region = config.region,
       .endpoint = config.endpoint,
       .credentials = {config.access_key_id, config.secret_access_key, config.session_token},
       .clouds = config.clouds,
       .addressing = config.addressing == "path"   ? Addressing::kPath
                     : config.addressing == "host" ? Addressing::kVirtualHost
                                                   : Addressing::kAutomatic});
}

Result<std::unique_ptr<EventArchive>> EventArchive::make(Parts parts) {
  if (parts.config.url.empty()) return nullptr;
  ASAHI_TRY(auto store, open_archive(parts.config));
  return std::make_unique<EventArchive>(std::move(parts), std::move(store));
}

EventArchive::EventArchive(Parts parts, std::unique_ptr<object::ObjectStore> store)
    : config_(parts.config),
      database_(parts.database),
      clock_(parts.clock),
      log_dir_(std::move(parts.log_dir)),
      node_id_(std::move(parts.node_id)),
      store_(std::move(store)),
      stored_(parts.metrics.counter("asahi_event_archive_files_total",
                                    "Event files, by what the archive did with them",
                                    {{"result", "stored"}})),
      failed_(parts.metrics.counter("asahi_event_archive_files_total", "", {{"result", "failed"}})),
      removed_(
          parts.metrics.counter("asahi_event_archive_files_total", "", {{"result", "removed"}})),
      expired_(
          parts.metrics.counter("asahi_event_archive_files_total", "", {{"result", "expired"}})),
      rewritten_(
          parts.metrics.counter("asahi_event_archive_files_total", "", {{"result", "rewritten"}})),
      bytes_(parts.metrics.counter("asahi_event_archive_bytes_total",
                                   "Bytes of event files that were archived, before packing")),
      waiting_(parts.metrics.gauge("asahi_event_archive_waiting_files",
                                   "Finished event files that are not archived yet")),
      last_success_(parts.metrics.gauge("asahi_event_archive_last_success_timestamp_seconds",
                                        "When the archive last did everything that was due")) {}

EventArchive::~EventArchive() {
  stop();
  thread_.join();
}

void EventArchive::stop() { store_->stop(); }

Task<ArchiveReport> EventArchive::run(LogRules rules, std::string open_file) {
  auto work = [this, rules = std::move(rules), open_file = std::move(open_file)] {
    // Answers go before archives.
    work_in_background(19);
    return run_blocking(rules, open_file);
  };
  co_return co_await net::run_blocking(thread_, std::move(work));
}

void EventArchive::failed(Run& run, std::string_view doing, const std::string& what, Error error) {
  failed_.add();
  logger_.error("the archive could not do its work",
                {{"doing", doing}, {"what", what}, {"error", error.message}});
  if (!run.first_failure) run.first_failure = std::move(error);
}

Result<ArchiveReport> EventArchive::run_blocking(const LogRules& rules,
                                                 const std::string& open_file) {
  Run run{.rules = rules, .open_file = open_file};
  if (auto read = read_notes(run); !read) return std::unexpected(read.error());
  const std::string today = format_date(clock_.now());
  std::vector<std::string> files = log_files(log_dir_);
  std::erase_if(files, [&](const std::string& file) {
    return file >= run.open_file || day_text(file) >= today;
  });
  std::int64_t waiting = 0;
  for (const std::string& file : files) {
    auto stored = store_file(run, file);
    if (!stored) {
      ++waiting;
      const bool stopped = stored.error().code == Errc::kCancelled;
      failed(run, "store", file, std::move(stored.error()));
      if (stopped) break;
      continue;
    }
    if (auto removed = remove_file(run, file); !removed)
      failed(run, "remove", file, std::move(removed.error()));
  }
  waiting_.set(static_cast<double>(waiting));
  if (auto swept = sweep(run); !swept) failed(run, "sweep", store_->where(), swept.error());
  if (run.first_failure) return std::unexpected(*std::move(run.first_failure));
  last_success_.set(static_cast<double>(
      std::chrono::duration_cast<std::chrono::seconds>(clock_.now().time_since_epoch()).count()));
  return run.report;
}

Result<void> EventArchive::read_notes(Run& run) const {
  ASAHI_TRY(const sql::Rows rows,
            database_.query_blocking(
                {"SELECT object_key, day, node_id, source_size, source_time, sha256, "
                 "next_sha256, bytes, due_digest, rules_of FROM event_archives",
                 {}}));
  for (std::size_t row = 0; row < rows.size(); ++row) {
    Note note{.key = rows.text(row, "object_key"),
              .day = rows.text(row, "day"),
              .node = rows.text(row, "node_id"),
              .source_size = rows.integer(row, "source_size"),
              .source_time = rows.integer(row, "source_time"),
              .sha256 = rows.text(row, "sha256"),
              .next_sha256 = rows.text(row, "next_sha256"),
              .bytes = rows.integer(row, "bytes"),
              .due_digest = rows.text(row, "due_digest")};
    ASAHI_TRY(note.rules_of, parse_rfc3339(rows.text(row, "rules_of")));
    run.notes.insert_or_assign(note.key, note);
  }
  return {};
}

Result<void> EventArchive::write_note(const Note& note) {
  ASAHI_TRY(const sql::Rows stored,
            database_.query_blocking(
                {"INSERT INTO event_archives (object_key, day, node_id, source_size, source_time, "
                 "sha256, next_sha256, bytes, due_digest, rules_of) VALUES (?, ?, ?, ?, ?, ?, ?, "
                 "?, ?, ?) "
                 "ON CONFLICT (object_key) DO UPDATE SET source_size = excluded.source_size, "
                 "source_time = excluded.source_time, sha256 = excluded.sha256, "
                 "next_sha256 = excluded.next_sha256, bytes = excluded.bytes, due_digest = "
                 "excluded.due_digest, rules_of = excluded.rules_of",
                 {note.key, note.day, note.node, note.source_size, note.source_time, note.sha256,
                  note.next_sha256, note.bytes, note.due_digest, format_rfc3339(note.rules_of)}}));
  static_cast<void>(stored);
  return {};
}

Result<void> EventArchive::verify(const std::string& key, std::uint64_t bytes,
                                  const std::string& sha256) {
  Sha256Stream hash;
  std::uint64_t got = 0;
  GzipReader unpack([&](std::string_view piece) -> Result<void> {
    hash.add(piece);
    got += piece.size();
    return {};
  });
  ASAHI_TRY(const object::ObjectInfo info,
            store_->read(key, [&](std::string_view piece) { return unpack.write(piece); }));
  static_cast<void>(info);
  if (auto ended = unpack.finish(); !ended) return ended;
  if (got != bytes || to_hex(hash.finish()) != sha256)
    return fail(Errc::kCorrupt, fmt::format("what lies at '{}' is not what was put there", key));
  return {};
}

Result<void> EventArchive::store_file(Run& run, const std::string& file) {
  const std::string path = log_dir_ + '/' + file, day = day_text(file);
  struct stat before{};
  if (::stat(path.c_str(), &before) != 0) return file_error("read", path);
  const auto time_of = [](const struct stat& info) {
    return info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec;
  };
  Note note{.key = key_of(day, node_id_), .day = day, .node = node_id_};
  const auto known = run.notes.find(note.key);
  if (known != run.notes.end() && known->second.source_size == before.st_size &&
      known->second.source_time == time_of(before))
    return {};

  PackedFile packed(log_dir_ + "/.archive-" + file + ".gz");
  if (auto read = each_piece(path, [&](std::string_view piece) { return packed.add(piece); });
      !read)
    return read;
  if (auto done = packed.finish(); !done) return done;
  ASAHI_TRY(const object::ObjectInfo put,
            store_->put_file(note.key, packed.path(), {.content_type = "application/gzip"}));
  if (auto good = verify(note.key, packed.bytes(), packed.sha256()); !good) return good;
  struct stat after{};
  if (::stat(path.c_str(), &after) != 0) return file_error("read", path);
  if (after.st_size != before.st_size || time_of(after) != time_of(before))
    return fail(Errc::kConflict, fmt::format("{} changed while it was archived", file));
  note.source_size = before.st_size;
  note.source_time = time_of(before);
  note.sha256 = packed.sha256();
  note.bytes = static_cast<std::int64_t>(packed.bytes());
  note.due_digest = due_digest(run.rules, start_of(day));
  note.rules_of = run.rules.as_of;
  if (auto noted = write_note(note); !noted) return noted;
  run.notes.insert_or_assign(note.key, note);
  ++run.report.stored;
  stored_.add();
  bytes_.add(static_cast<double>(packed.bytes()));
  logger_.info("archived a day of events", {{"file", file},
                                            {"object", note.key},
                                            {"bytes", note.bytes},
                                            {"packed", static_cast<std::int64_t>(put.size)}});
  return {};
}

Result<void> EventArchive::remove_file(Run& run, const std::string& file) {
  const std::string day = day_text(file);
  if (start_of(day) + days(1 + config_.local_days) > clock_.now()) return {};
  const std::string key = key_of(day, node_id_);
  // It was noted by this run or an earlier one; somebody may have emptied the bucket since.
  ASAHI_TRY(const auto there, store_->head(key));
  if (!there) {
    return fail(Errc::kNotFound,
                fmt::format("'{}' has gone from the archive; the file stays", key));
  }
  const std::string path = log_dir_ + '/' + file;
  if (::unlink(path.c_str()) != 0) return file_error("remove", path);
  ++run.report.removed_here;
  removed_.add();
  logger_.info("removed an archived file", {{"file", file}, {"object", key}});
  return {};
}

Result<void> EventArchive::sweep(Run& run) {
  std::vector<std::pair<object::ObjectInfo, Named>> due;
  const Clock::Time now = clock_.now();
  const auto last_erasure = [&] {
    Clock::Time last{};
    for (const auto& [who, until] : run.rules.erasures) last = std::max(last, until);
    return last;
  }();
  std::vector<std::pair<object::ObjectInfo, Named>> expired;
  auto listed = store_->each(std::string(kFolder), [&](const object::ObjectInfo& object) {
    auto named = parse_key(object.key);
    if (!named) return true;
    const Clock::Time day = start_of(named->day);
    if (day + days(1 + config_.keep_days) <= now) {
      expired.emplace_back(object, *std::move(named));
      return true;
    }
    const auto note = run.notes.find(object.key);
    const bool known = note != run.notes.end();
    const std::string digest = due_digest(run.rules, day);
    const bool erased =
        day <= last_erasure && std::ranges::any_of(run.rules.erasures, [&](const auto& erasure) {
          return day <= erasure.second && (!known || erasure.second > note->second.rules_of);
        });
    // What is due for nobody needs no cleaning, whatever the digest was.
    const bool outdated = !digest.empty() && (!known || digest != note->second.due_digest);
    if (erased || outdated) due.emplace_back(object, *std::move(named));
    return true;
  });
  if (!listed) return listed;

  for (const auto& [object, named] : expired) {
    if (auto erased = store_->erase(object.key); !erased) {
      // One that is held there keeps neither the others nor what erasures ask for; a store that is
      // away keeps all.
      const bool stopped = erased.error().code == Errc::kCancelled || is_retryable(erased.error());
      failed(run, "delete", object.key, std::move(erased.error()));
      if (stopped) return {};
      continue;
    }
    ASAHI_TRY(const sql::Rows forgotten,
              database_.query_blocking(
                  {"DELETE FROM event_archives WHERE object_key = ?", {object.key}}));
    static_cast<void>(forgotten);
    ++run.report.expired;
    expired_.add();
    logger_.info("deleted an archived day", {{"object", object.key}});
  }
  for (const auto& [object, named] : due) {
    const auto note = run.notes.find(object.key);
    auto rewritten =
        rewrite(run, object, named.day, note == run.notes.end() ? nullptr : &note->second);
    if (rewritten) {
      if (*rewritten) rewritten_.add();
      continue;
    }
    // Another node was at it at the same time.
    if (rewritten.error().code == Errc::kConflict) continue;
    const bool stopped = rewritten.error().code == Errc::kCancelled;
    failed(run, "clean", object.key, std::move(rewritten.error()));
    if (stopped) return {};
  }
  return {};
}

Result<bool> EventArchive::rewrite(Run& run, const object::ObjectInfo& object,
                                   const std::string& day, const Note* note) {
  PackedFile packed(log_dir_ + "/.archive-clean.gz");
  std::int64_t gone = 0, kept = 0;
  Sha256Stream before;
  Lines lines([&](std::string_view line) -> Result<void> {
    const auto event =
        event_from_json(line.ends_with('\n') ? line.substr(0, line.size() - 1) : line);
    if (event && must_go(*event, run.rules)) {
      ++gone;
      return {};
    }
    // A line that cannot be read belongs to nobody: it stays as long as its neighbours do.
    if (event) ++kept;
    return packed.add(line);
  });
  GzipReader unpack([&](std::string_view piece) {
    before.add(piece);
    return lines.add(piece);
  });
  ASAHI_TRY(const object::ObjectInfo read,
            store_->read(object.key, [&](std::string_view piece) { return unpack.write(piece); }));
  if (auto ended = unpack.finish(); !ended) return std::unexpected(ended.error());
  if (auto ended = lines.finish(); !ended) return std::unexpected(ended.error());
  const std::string read_sha256 = to_hex(before.finish());
  if (note != nullptr && read_sha256 != note->sha256 && read_sha256 != note->next_sha256) {
    return fail(Errc::kCorrupt,
                fmt::format("'{}' is not what was archived; it is left as it is", object.key));
  }
  if (auto done = packed.finish(); !done) return std::unexpected(done.error());

  if (gone > 0 && kept == 0) {
    if (auto erased = store_->erase(object.key); !erased) return std::unexpected(erased.error());
    ASAHI_TRY(const sql::Rows forgotten,
              database_.query_blocking(
                  {"DELETE FROM event_archives WHERE object_key = ?", {object.key}}));
    static_cast<void>(forgotten);
  } else {
    Note fresh{.key = object.key, .day = day, .node = parse_key(object.key)->node};
    if (note != nullptr) fresh = *note;
    if (gone > 0) {
      // Said before it is done: after a crash in between, either content is right.
      fresh.sha256 = read_sha256;
      fresh.next_sha256 = packed.sha256();
      if (auto noted = write_note(fresh); !noted) return std::unexpected(noted.error());
      ASAHI_TRY(const object::ObjectInfo put,
                store_->put_file(object.key, packed.path(),
                                 {.content_type = "application/gzip", .only_if_etag = read.etag}));
      static_cast<void>(put);
      if (auto good = verify(object.key, packed.bytes(), packed.sha256()); !good)
        return std::unexpected(good.error());
    }
    fresh.sha256 = packed.sha256();
    fresh.next_sha256.clear();
    fresh.bytes = static_cast<std::int64_t>(packed.bytes());
    fresh.due_digest = due_digest(run.rules, start_of(day));
    fresh.rules_of = run.rules.as_of;
    if (auto noted = write_note(fresh); !noted) return std::unexpected(noted.error());
  }
  if (gone == 0) return false;
  ++run.report.rewritten;
  run.report.erased_lines += gone;
  logger_.info("took events out of an archived day",
               {{"object", object.key}, {"lines", gone}, {"left", kept}});
  return true;
}

Result<std::int64_t> restore_events(object::ObjectStore& store, const std::string& first,
                                    const std::string& last, const std::string& folder) {
  std::vector<std::pair<std::string, Named>> wanted;
  auto listed = store.each(std::string(kFolder), [&](const object::ObjectInfo& object) {
    auto named = parse_key(object.key);
    if (named && named->day >= first && named->day <= last)
      wanted.emplace_back(object.key, *std::move(named));
    return true;
  });
  if (!listed) return std::unexpected(listed.error());
  for (const auto& [key, named] : wanted) {
    const std::string below = folder + '/' + named.node;
    std::error_code error;
    std::filesystem::create_directories(below, error);
    if (error)
      return fail(Errc::kUnavailable, fmt::format("cannot create {}: {}", below, error.message()));
    const std::string path = fmt::format("{}/events_{}.jsonl", below, named.day),
                      fresh = path + ".new";
    const File file = File::open(fresh, O_WRONLY | O_CREAT | O_TRUNC);
    if (!file) return file_error("write", fresh);
    GzipReader unpack([&](std::string_view piece) -> Result<void> {
      if (!write_all(file.get(), piece)) return file_error("write", fresh);
      return {};
    });
    auto read = store.read(key, [&](std::string_view piece) { return unpack.write(piece); });
    auto ended = read ? unpack.finish() : Result<void>(std::unexpected(read.error()));
    if (!ended) {
      ::unlink(fresh.c_str());
      return std::unexpected(ended.error());
    }
    if (auto placed = place_file(fresh, path); !placed) return std::unexpected(placed.error());
  }
  return static_cast<std::int64_t>(wanted.size());
}

}  // namespace asahi::gateway
