#include "memory/ingest/import.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/hash.h"
#include "net/blocking.h"

namespace asahi::memory {

namespace {

constexpr std::size_t kNamedBy = 1 << 20;

Result<std::string> read_at(const File& file, std::uint64_t offset, std::size_t length) {
  std::string bytes(length, '\0');
  std::size_t have = 0;
  while (have < length) {
    const ssize_t got =
        ::pread(file.get(), bytes.data() + have, length - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return file_error("read", "the file");
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

class FileSource final : public PayloadSource {
 public:
  FileSource(const asahi::File& file, Intake& intake, std::function<void(std::uint64_t)> seen)
      : file_(file), intake_(intake), seen_(std::move(seen)) {}
  Task<std::string> read(const PayloadSource::File&, std::uint64_t offset,
                         std::size_t length) override {
    seen_(offset);
    auto bytes =
        co_await net::run_blocking(intake_.work(), [&] { return read_at(file_, offset, length); });
    co_return bytes;
  }

 private:
  const asahi::File& file_;
  Intake& intake_;
  std::function<void(std::uint64_t)> seen_;
};

/// "import-" and 16 hexadecimal digits.
Result<std::string> name_of(const File& file, std::uint64_t size) {
  ASAHI_TRY(const std::string begin, read_at(file, 0, std::min<std::uint64_t>(size, kNamedBy)));
  ASAHI_TRY(const std::string end, read_at(file, size - std::min<std::uint64_t>(size, kNamedBy),
                                           std::min<std::uint64_t>(size, kNamedBy)));
  constexpr std::size_t kDigits = 16;
  return "import-" +
         to_hex(sha256(fmt::format("{}\n", size) + begin + "\n" + end)).substr(0, kDigits);
}

}  // namespace

Task<ImportResult> import_file(std::string path, Intake& intake, Ledger& ledger,
                               ImportOptions options) {
  const File file = File::open(path, O_RDONLY);
  struct stat facts{};
  if (!file || ::fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode))
    co_return fail(Errc::kNotFound, fmt::format("'{}' is no file that can be read", path));
  const auto size = static_cast<std::uint64_t>(facts.st_size);
  ASAHI_CO_TRY(const std::string upload, name_of(file, size));
  if (auto ok = check_system_id(options.system_id); !ok) co_return std::unexpected(ok.error());
  ASAHI_CO_TRY(const UploadLease lease,
               co_await ledger.open({options.tenant, options.system_id, upload},
                                    UploadOrigin::kImport, options.owner));
  UploadRun run(intake, ledger, lease, options.payload.run);
  ItemRules rules = intake.rules(options.tenant);
  rules.upload_id = upload;
  rules.source = options.source;
  rules.default_system_id = options.system_id;

  const Clock::Steady start = intake.clock().steady_now();
  Clock::Steady told = start;
  const auto report = [&](std::uint64_t bytes) {
    if (!options.progress) return;
    const Clock::Steady now = intake.clock().steady_now();
    told = now;
    options.progress({bytes, size, run.counts(),
                      std::chrono::duration_cast<std::chrono::milliseconds>(now - start)});
  };
  FileSource source(file, intake, [&](std::uint64_t offset) {
    if (intake.clock().steady_now() - told >= options.report) report(offset);
  });
  Interruption never;
  std::vector<PayloadSource::File> files;
  files.push_back({std::filesystem::path(path).filename().string(), size, ""});
  const auto outcome = co_await run_payload(
      source, std::move(files), Compression::kNone, std::move(rules), intake, run,
      lease.upload.position, options.stop == nullptr ? never : *options.stop, options.payload);
  if (!outcome) {
    const auto kept = co_await ledger.finish(lease, UploadState::kFailed, outcome.error().message);
    if (!kept && kept.error().code != Errc::kConflict) co_return std::unexpected(kept.error());
    co_return std::unexpected(outcome.error());
  }
  const auto finished = co_await ledger.finish(lease, run.verdict(), run.remark());
  if (!finished) co_return std::unexpected(finished.error());
  report(size);
  co_return ImportResult{.state = run.verdict(),
                         .upload_id = upload,
                         .resumed_at = lease.upload.position,
                         .counts = run.counts(),
                         .bad_items = run.bad_items()};
}

}  // namespace asahi::memory
