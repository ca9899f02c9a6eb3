#include "storage/object/folder_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/ids.h"
#include "storage/object/keys.h"
#include "storage/object/pieces.h"

namespace asahi::object {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBeside = ".asahi-tmp";
constexpr const char* kLock = ".asahi-lock";
constexpr std::size_t kPiece = 256 * 1024;
/// What a crash left beside is nobody's after this.
constexpr auto kRemainsKept = std::chrono::hours(24);

std::unexpected<Error> system_error(std::string_view doing, const std::string& key) {
  return fail(Errc::kUnavailable,
              fmt::format("cannot {} object '{}': {}", doing, key, std::strerror(errno)));
}

std::unexpected<Error> absent(const std::string& key) {
  return fail(Errc::kNotFound, fmt::format("there is no object '{}'", key));
}

/// True where errno says that the path leads to no file of ours.
bool nothing_there() { return errno == ENOENT || errno == ENOTDIR || errno == ELOOP; }

ObjectInfo info_of(const std::string& key, const struct stat& file) {
  const auto written =
      std::chrono::seconds(file.st_mtim.tv_sec) + std::chrono::nanoseconds(file.st_mtim.tv_nsec);
  return {.key = key,
          .size = static_cast<std::uint64_t>(file.st_size),
          // The inode is another with every put, the time was set to the nanosecond.
          .etag = fmt::format("{:x}-{:x}-{:x}", written.count(), file.st_size, file.st_ino),
          .modified = Clock::Time(written)};
}

std::string_view name_of(const std::string& key) {
  return std::string_view(key).substr(key.rfind('/') + 1);
}

}  // namespace

/// One process and one thread at a time changes names, so that a condition still holds when the
/// name is given.
class FolderStore::Change {
 public:
  explicit Change(FolderStore& store)
      : lock_(store.changing_),
        file_(::openat(store.root_.get(), kLock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640)) {
    while (file_ && ::flock(file_.get(), LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  bool held() const { return static_cast<bool>(file_); }

 private:
  std::scoped_lock<std::mutex> lock_;
  File file_;
};

/// A file beside, until it gets its name.
class FolderStore::Writing final : public Upload {
 public:
  Writing(FolderStore& store, std::string key, PutOptions options)
      : store_(store), key_(std::move(key)), options_(std::move(options)) {}
  ~Writing() override { drop(); }

  Result<void> begin() {
    if (::mkdirat(store_.root_.get(), kBeside, 0750) != 0 && errno != EEXIST)
      return system_error("write", key_);
    name_ = fmt::format("{}/{}", kBeside, random_id("put_", 24));
    file_ = File(
        ::openat(store_.root_.get(), name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
    if (!file_) {
      name_.clear();
      return system_error("write", key_);
    }
    return {};
  }
  Result<void> write(std::string_view bytes) override {
    if (auto running = store_.running(); !running) return running;
    if (!file_) return fail(Errc::kConflict, "this upload is over");
    if (!write_all(file_.get(), bytes)) {
      auto failure = system_error("write", key_);
      drop();
      return failure;
    }
    return {};
  }
  Result<ObjectInfo> finish() override {
    if (auto running = store_.running(); !running) return std::unexpected(running.error());
    if (!file_) return fail(Errc::kConflict, "this upload is over");
    auto done = store_.commit(*this);
    drop();
    return done;
  }

 private:
  friend class FolderStore;
  void drop() {
    file_.close();
    if (!name_.empty()) ::unlinkat(store_.root_.get(), name_.c_str(), 0);
    name_.clear();
  }

  FolderStore& store_;
  std::string key_;
  PutOptions options_;
  File file_;
  std::string name_;  ///< below the root; empty: there is none, or it has its final name
};

Result<std::unique_ptr<FolderStore>> FolderStore::open(std::string folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    return fail(Errc::kUnavailable,
                fmt::format("cannot create the folder {}: {}", folder, error.message()));
  }
  File root = File::open(folder, O_RDONLY | O_DIRECTORY);
  if (!root) return file_error("open the folder", folder);
  std::unique_ptr<FolderStore> store(new FolderStore(std::move(folder), std::move(root)));
  store->sweep_remains();
  return store;
}

void FolderStore::sweep_remains() const {
  std::error_code error;
  const auto limit = fs::file_time_type::clock::now() - kRemainsKept;
  for (const auto& entry : fs::directory_iterator(path_ + '/' + kBeside, error)) {
    const auto written = entry.last_write_time(error);
    if (!error && written < limit) fs::remove(entry.path(), error);
  }
}

Result<void> FolderStore::running() const {
  if (stopped_) return fail(Errc::kCancelled, "the object store has been stopped");
  return {};
}

File FolderStore::folder_of(const std::string& key, bool create) const {
  File folder(::openat(root_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::size_t begin = 0;
  for (std::size_t end = key.find('/'); folder && end != std::string::npos;
       begin = end + 1, end = key.find('/', begin)) {
    const std::string part = key.substr(begin, end - begin);
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
    File next(::openat(folder.get(), part.c_str(), kFlags));
    if (!next && errno == ENOENT && create) {
      const bool made = ::mkdirat(folder.get(), part.c_str(), 0750) == 0;
      if (!made && errno != EEXIST) return {};
      if (made && ::fsync(folder.get()) != 0) return {};
      next = File(::openat(folder.get(), part.c_str(), kFlags));
    }
    if (!next) return {};
    folder = std::move(next);
  }
  return folder;
}

Result<ObjectInfo> FolderStore::commit(Writing& writing) {
  const std::string& key = writing.key_;
  timespec now[2];
  ::clock_gettime(CLOCK_REALTIME, &now[0]);
  now[1] = now[0];
  if (::futimens(writing.file_.get(), now) != 0 || ::fsync(writing.file_.get()) != 0)
    return system_error("write", key);
  struct stat written{};
  if (::fstat(writing.file_.get(), &written) != 0) return system_error("write", key);

  const std::string name(name_of(key));
  File folder;
  {
    const Change change(*this);
    if (!change.held()) return system_error("lock the folder for", key);
    folder = folder_of(key, true);
    if (!folder) {
      if (errno == ENOTDIR || errno == ELOOP) {
        return fail(Errc::kInvalidArgument,
                    fmt::format("the key '{}' leads through an object or a link; in a folder a key "
                                "cannot also be the folder of others",
                                key));
      }
      return system_error("write", key);
    }
    struct stat there{};
    const bool exists = ::fstatat(folder.get(), name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0;
    if (exists && !S_ISREG(there.st_mode)) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("the key '{}' is the folder of other objects", key));
    }
    if (writing.options_.only_if_absent && exists)
      return fail(Errc::kConflict, fmt::format("the object '{}' exists already", key));
    if (!writing.options_.only_if_etag.empty() &&
        (!exists || info_of(key, there).etag != writing.options_.only_if_etag)) {
      return fail(Errc::kConflict, fmt::format("the object '{}' has changed meanwhile", key));
    }
    if (::renameat(root_.get(), writing.name_.c_str(), folder.get(), name.c_str()) != 0)
      return system_error("write", key);
    writing.name_.clear();
  }
  if (::fsync(folder.get()) != 0) return system_error("sync the folder of", key);
  return info_of(key, written);
}

Result<std::unique_ptr<Upload>> FolderStore::begin_upload(const std::string& key,
                                                          const PutOptions& options) {
  if (auto good = check_key(key); !good) return std::unexpected(good.error());
  if (auto running = this->running(); !running) return std::unexpected(running.error());
  auto writing = std::make_unique<Writing>(*this, key, options);
  if (auto begun = writing->begin(); !begun) return std::unexpected(begun.error());
  return writing;
}

Result<ObjectInfo> FolderStore::put(const std::string& key, std::string_view bytes,
                                    const PutOptions& options) {
  ASAHI_TRY(const auto upload, begin_upload(key, options));
  if (auto written = upload->write(bytes); !written) return std::unexpected(written.error());
  return upload->finish();
}

Result<ObjectInfo> FolderStore::put_file(const std::string& key, const std::string& path,
                                         const PutOptions& options) {
  const File from = File::open(path, O_RDONLY);
  if (!from) return file_error("read", path);
  ASAHI_TRY(const auto upload, begin_upload(key, options));
  return send_pieces(from, path, *upload);
}

Result<ObjectInfo> FolderStore::read(const std::string& key, const Sink& sink,
                                     const ReadOptions& options) {
  if (auto good = check_key(key); !good) return std::unexpected(good.error());
  const File folder = folder_of(key, false);
  if (!folder) return nothing_there() ? absent(key) : system_error("read", key);
  const File file(::openat(folder.get(), std::string(name_of(key)).c_str(),
                           O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) return nothing_there() ? absent(key) : system_error("read", key);
  struct stat there{};
  if (::fstat(file.get(), &there) != 0) return system_error("read", key);
  if (!S_ISREG(there.st_mode)) return absent(key);
  ObjectInfo info = info_of(key, there);
  if (!options.only_if_etag.empty() && options.only_if_etag != info.etag)
    return fail(Errc::kConflict, fmt::format("the object '{}' has changed meanwhile", key));
  if (options.offset > info.size || (options.offset == info.size && options.offset > 0)) {
    return fail(Errc::kInvalidArgument,
                fmt::format("the object '{}' has {} bytes; none stand at {}", key, info.size,
                            options.offset));
  }
  std::uint64_t left = std::min(info.size - options.offset, options.length.value_or(info.size));
  std::uint64_t at = options.offset;
  std::string piece(std::min<std::uint64_t>(kPiece, left), '\0');
  while (left > 0) {
    if (auto running = this->running(); !running) return std::unexpected(running.error());
    const ssize_t got = ::pread(file.get(), piece.data(), std::min<std::uint64_t>(left, kPiece),
                                static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("read", key);
    if (got == 0) {
      return fail(Errc::kCorrupt,
                  fmt::format("the object '{}' ends at byte {} of {}", key, at, info.size));
    }
    if (auto taken = sink({piece.data(), static_cast<std::size_t>(got)}); !taken)
      return std::unexpected(taken.error());
    at += static_cast<std::uint64_t>(got);
    left -= static_cast<std::uint64_t>(got);
  }
  return info;
}

Result<std::optional<ObjectInfo>> FolderStore::head(const std::string& key) {
  if (auto good = check_key(key); !good) return std::unexpected(good.error());
  if (auto running = this->running(); !running) return std::unexpected(running.error());
  const File folder = folder_of(key, false);
  struct stat there{};
  const bool found = folder && ::fstatat(folder.get(), std::string(name_of(key)).c_str(), &there,
                                         AT_SYMLINK_NOFOLLOW) == 0;
  if (!found && !nothing_there()) return system_error("look for", key);
  if (!found || !S_ISREG(there.st_mode)) return std::nullopt;
  return info_of(key, there);
}

struct FolderStore::Walk {
  const ListQuery& query;
  Page page;
  bool full = false;
  std::string last = {};  ///< key or folder that was listed last

  /// Whether there is room for one more, which `key` then is.
  bool take(const std::string& key) {
    full = page.objects.size() + page.folders.size() == query.limit;
    if (!full) last = key;
    return !full;
  }
};

Result<void> FolderStore::list_folder(Walk& walk, int folder, const std::string& path) const {
  struct Entry {
    std::string name;  ///< a folder's ends with '/', so that entries sort as their keys do
    struct stat file{};
  };
  std::vector<Entry> entries;
  const std::unique_ptr<DIR, int (*)(DIR*)> names(::fdopendir(::dup(folder)), &::closedir);
  if (names == nullptr) return system_error("list the folder of", path);
  for (const dirent* each = ::readdir(names.get()); each != nullptr;
       each = ::readdir(names.get())) {
    Entry entry{.name = each->d_name};
    if (entry.name == "." || entry.name == ".." || entry.name.starts_with(kOwnNames)) continue;
    // Gone meanwhile: not there.
    if (::fstatat(folder, each->d_name, &entry.file, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISDIR(entry.file.st_mode)) {
      entry.name += '/';
    } else if (!S_ISREG(entry.file.st_mode)) {
      continue;
    }
    const std::string key = path + entry.name;
    const std::string_view prefix = walk.query.prefix;
    const bool is_folder = entry.name.ends_with('/');
    const bool wanted = key.starts_with(prefix) || (is_folder && prefix.starts_with(key));
    // A folder may hold later keys as long as it is not wholly before `after`.
    const bool later = key > walk.query.after || (is_folder && walk.query.after.starts_with(key));
    const bool passed = walk.query.folders && key == walk.query.after;
    if (wanted && later && !passed) entries.push_back(std::move(entry));
  }
  std::ranges::sort(entries, {}, &Entry::name);
  for (const Entry& entry : entries) {
    if (auto running = this->running(); !running) return running;
    std::string key = path + entry.name;
    if (entry.name.ends_with('/') && walk.query.folders && key.size() > walk.query.prefix.size()) {
      if (walk.take(key)) walk.page.folders.push_back(std::move(key));
    } else if (entry.name.ends_with('/')) {
      const File below(
          ::openat(folder, entry.name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
      if (!below) continue;
      if (auto listed = list_folder(walk, below.get(), key); !listed) return listed;
    } else if (walk.take(key)) {
      walk.page.objects.push_back(info_of(key, entry.file));
    }
    if (walk.full) return {};
  }
  return {};
}

Result<Page> FolderStore::list(const ListQuery& query) {
  if (auto good = check_prefix(query.prefix); !good) return std::unexpected(good.error());
  if (query.limit < 1 || query.limit > 1'000)
    return fail(Errc::kInvalidArgument, "a page holds 1 to 1000 objects");
  Walk walk{.query = query, .page = {}};
  const File root(::openat(root_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return system_error("list", query.prefix);
  if (auto listed = list_folder(walk, root.get(), ""); !listed)
    return std::unexpected(listed.error());
  if (walk.full) walk.page.next = walk.last;
  return std::move(walk.page);
}

Result<void> FolderStore::erase(const std::string& key) {
  if (auto good = check_key(key); !good) return std::unexpected(good.error());
  if (auto running = this->running(); !running) return running;
  const Change change(*this);
  if (!change.held()) return system_error("lock the folder for", key);
  File folder = folder_of(key, false);
  if (!folder) return nothing_there() ? Result<void>{} : system_error("erase", key);
  if (::unlinkat(folder.get(), std::string(name_of(key)).c_str(), 0) != 0) {
    const bool none = nothing_there() || errno == EISDIR || errno == EPERM;
    return none ? Result<void>{} : system_error("erase", key);
  }
  if (::fsync(folder.get()) != 0) return system_error("erase", key);
  // Folders that hold nothing any more go too: they are no objects.
  for (std::size_t end = key.rfind('/'); end != std::string::npos; end = key.rfind('/', end - 1)) {
    const std::string path = key.substr(0, end);
    const File above = folder_of(path, false);
    if (!above || ::unlinkat(above.get(), std::string(name_of(path)).c_str(), AT_REMOVEDIR) != 0 ||
        end == 0)
      break;
  }
  return {};
}

}  // namespace asahi::object
