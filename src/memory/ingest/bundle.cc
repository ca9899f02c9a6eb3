#include "memory/ingest/bundle.h"

#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "base/log.h"
#include "base/policy/retry.h"
#include "base/sha256_stream.h"
#include "net/blocking.h"

namespace asahi::memory {

namespace {

const Logger& logger() {
  static const Logger instance("memory.ingest");
  return instance;
}

Result<void> go_on(const Interruption& stop, const Clock& clock) {
  if (stop.lost) return fail(Errc::kConflict, "the lease was lost");
  if (stop.stopping) return fail(Errc::kCancelled, "the server is going down");
  if (clock.steady_now() >= stop.deadline)
    return fail(Errc::kTimeout, "the upload took longer than its time limit; it goes on later");
  return {};
}

/// What one visit to the work threads brings.
struct Parsed {
  std::vector<std::variant<Memory, BadItem>> items;
  bool hungry = false;  ///< wants more bytes
  std::optional<Error> error;
};

/// Items until a batch is full or the bytes are used up.
Parsed parse(PayloadReader& reader, const ItemRules& rules, std::size_t records,
             std::size_t bytes) {
  Parsed out;
  std::size_t size = 0;
  while (out.items.size() < records && size < bytes) {
    auto raw = reader.next();
    if (!raw) {
      out.error = std::move(raw.error());
      return out;
    }
    if (!*raw) {
      out.hungry = true;
      return out;
    }
    if ((*raw)->fault) {
      out.items.emplace_back(std::move(*(*raw)->fault));
      continue;
    }
    size += (*raw)->text.size();
    auto memory = read_item((*raw)->text, rules, (*raw)->index);
    if (memory) {
      out.items.emplace_back(std::move(*memory));
    } else {
      out.items.emplace_back(std::move(memory.error()));
    }
  }
  return out;
}

}  // namespace

bool is_transient(const Error& error) {
  // A file that is not there yet or changes meanwhile: its writer is at it.
  return is_retryable(error) || error.code == Errc::kNotFound || error.code == Errc::kConflict ||
         error.code == Errc::kCancelled;
}

Task<void> run_payload(PayloadSource& source, std::vector<PayloadSource::File> files,
                       Compression compression, ItemRules rules, Intake& intake, UploadRun& run,
                       std::uint64_t position, const Interruption& stop, PayloadOptions options) {
  PayloadReader reader(options.limits, position);
  Clock::Steady flushed = intake.clock().steady_now();
  bool too_many = false;
  const auto context = [&] {
    llm::CallContext call;
    call.deadline = stop.deadline;
    return call;
  };
  for (const PayloadSource::File& file : files) {
    const Compression packed =
        compression == Compression::kNone ? compression_of_name(file.name) : compression;
    if (auto begun = reader.begin_file(file.name, packed); !begun)
      co_return std::unexpected(begun.error());
    for (std::uint64_t offset = 0;;) {
      if (auto ok = go_on(stop, intake.clock()); !ok) co_return ok;
      const bool ended = offset >= file.size;
      if (ended) {
        if (auto end = reader.end_file(); !end) co_return end;
      } else {
        const auto length = static_cast<std::size_t>(
            std::min<std::uint64_t>(options.chunk_bytes, file.size - offset));
        ASAHI_CO_TRY(std::string bytes, co_await source.read(file, offset, length));
        if (bytes.size() != length)
          co_return fail(Errc::kConflict, "the payload became shorter while it was read");
        offset += length;
        reader.give(std::move(bytes));
      }
      for (bool hungry = false; !hungry;) {
        Parsed parsed = co_await net::run_blocking(intake.work(), [&] {
          return parse(reader, rules, options.run.batch_records, options.run.batch_bytes);
        });
        hungry = parsed.hungry;
        for (auto& item : parsed.items) {
          if (auto* bad = std::get_if<BadItem>(&item)) {
            run.add(std::move(*bad));
          } else if (run.counts().items < options.max_items) {
            run.add(std::move(std::get<Memory>(item)));
          } else if (!std::exchange(too_many, true)) {
            run.add(BadItem{reader.items(), ItemFault::kBroken, "",
                            fmt::format("an upload holds at most {} items; the rest was left out",
                                        options.max_items)});
          }
        }
        const Clock::Steady now = intake.clock().steady_now();
        if (run.full() || parsed.error || (now - flushed >= options.batch_time && !run.empty())) {
          const auto stored = co_await run.flush(reader.items(), reader.bytes(), context());
          if (!stored) co_return stored;
          flushed = intake.clock().steady_now();
        }
        if (parsed.error) co_return std::unexpected(std::move(*parsed.error));
        if (too_many) co_return co_await run.flush(reader.items(), reader.bytes(), context());
        if (auto ok = go_on(stop, intake.clock()); !ok) co_return ok;
      }
      if (ended) break;
    }
  }
  co_return co_await run.flush(reader.items(), reader.bytes(), context());
}

/// A bundle's files in the bucket. What was read for the checksum and is small is kept, so that it
/// is not read twice.
class BundleReader::Source final : public PayloadSource {
 public:
  Source(object::TaskStore bucket, std::string prefix)
      : bucket_(bucket), prefix_(std::move(prefix)) {}

  Task<std::string> read(const File& file, std::uint64_t offset, std::size_t length) override {
    const auto kept = kept_.find(file.name);
    if (kept != kept_.end()) co_return kept->second.substr(offset, length);
    auto bytes =
        co_await bucket_.get(prefix_ + file.name, length,
                             {.offset = offset, .length = length, .only_if_etag = file.version});
    // Where the file ended earlier the range begins behind its end.
    if (!bytes && bytes.error().code == Errc::kInvalidArgument)
      co_return fail(Errc::kConflict, "the payload became shorter while it was read");
    co_return bytes;
  }
  void keep(const std::string& name, std::string_view bytes) {
    if (kept_bytes_ + bytes.size() <= kMostKept) {
      kept_[name] += bytes;
      kept_bytes_ += bytes.size();
    }
  }
  static constexpr std::size_t kMostKept = 4 << 20;

 private:
  object::TaskStore bucket_;
  const std::string prefix_;
  std::map<std::string, std::string> kept_;
  std::size_t kept_bytes_ = 0;
};

Task<void> BundleReader::check_sum(Source& source, std::vector<PayloadSource::File> files,
                                   Digest expected, const Interruption& stop) {
  Sha256Stream sum;
  std::uint64_t all = 0;
  for (const auto& file : files) all += file.size;
  std::map<std::string, std::string> small;
  for (const auto& file : files) {
    for (std::uint64_t offset = 0; offset < file.size;) {
      if (auto ok = go_on(stop, intake_.clock()); !ok) co_return ok;
      const auto length = static_cast<std::size_t>(
          std::min<std::uint64_t>(options_.payload.chunk_bytes, file.size - offset));
      ASAHI_CO_TRY(const std::string bytes, co_await source.read(file, offset, length));
      co_await net::run_blocking(intake_.work(), [&] {
        sum.add(bytes);
        return true;
      });
      if (all <= Source::kMostKept) small[file.name] += bytes;
      offset += length;
      if (bytes.size() != length) break;
    }
  }
  const Digest found = sum.finish();
  if (found != expected)
    co_return fail_field(
        "checksum", fmt::format("the payload's SHA-256 is {}, the manifest says {}; the upload "
                                "was damaged or changed: send it again",
                                to_hex(found), to_hex(expected)));
  for (const auto& [name, bytes] : small) source.keep(name, bytes);
  co_return Result<void>{};
}

Task<void> BundleReader::attempt(const UploadLease& lease, const Interruption& stop,
                                 UploadRun& run) {
  const UploadId& id = lease.upload.id;
  const std::string prefix = bundle_prefix({id.system_id, id.upload_id});
  ASAHI_CO_TRY(const std::string text,
               co_await bucket_.get(prefix + "manifest.json", kMaxManifest));
  const auto manifest = parse_manifest(text, intake_.clock().now());
  if (!manifest) {
    Error error = violations_error(manifest.error());
    logger().warning(
        "schema_validation_failure",
        {{"system_id", id.system_id}, {"upload_id", id.upload_id}, {"error", error.message}});
    if (options_.refused) options_.refused(id, error);
    co_return std::unexpected(std::move(error));
  }
  std::vector<PayloadSource::File> files;
  std::uint64_t all = 0;
  for (const std::string& name : manifest->files) {
    ASAHI_CO_TRY(const auto info, co_await bucket_.head(prefix + name));
    if (!info)
      co_return fail(Errc::kNotFound,
                     fmt::format("the manifest names '{}', which is not in the bucket; write the "
                                 "payload before the manifest",
                                 name));
    files.push_back({name, info->size, info->etag});
    all += info->size;
  }
  if (all > kMaxUploadBytes)
    co_return fail(Errc::kTooLarge, fmt::format("an upload has at most {} bytes", kMaxUploadBytes));
  Source source(bucket_, prefix);
  if (manifest->checksum) {
    const auto checked = co_await check_sum(source, files, *manifest->checksum, stop);
    if (!checked) co_return std::unexpected(checked.error());
  }
  ItemRules rules = intake_.rules(id.tenant);
  rules.system_id = id.system_id;
  rules.upload_id = id.upload_id;
  rules.uploaded_at = manifest->uploaded_at;
  const auto metadata = parse_json(manifest->metadata);
  if (metadata && metadata->is_object()) {
    const json::value* model = find_member(metadata->get_object(), "embedding_model");
    if (model != nullptr && model->is_string()) rules.declared_model = model->get_string();
  }
  co_return co_await run_payload(source, std::move(files), manifest->compression, std::move(rules),
                                 intake_, run, lease.upload.position, stop, options_.payload);
}

Task<UploadState> BundleReader::process(const UploadLease& lease, const Interruption& stop,
                                        double jitter, std::optional<Error>& trouble) {
  const auto begun = co_await ledger_.begin(lease);
  if (!begun) co_return std::unexpected(begun.error());
  UploadRun run(intake_, ledger_, lease, options_.payload.run);
  const auto outcome = co_await attempt(lease, stop, run);
  if (stop.lost) co_return UploadState::kLeased;
  if (outcome) {
    const UploadState verdict = run.verdict();
    const auto finished = co_await ledger_.finish(lease, verdict, run.remark());
    if (!finished) co_return std::unexpected(finished.error());
    if (verdict == UploadState::kDone && options_.delete_after) {
      const UploadId& id = lease.upload.id;
      const auto gone = co_await erase(bundle_prefix({id.system_id, id.upload_id}));
      if (!gone)
        logger().warning("bundle was taken in but could not be deleted",
                         {{"system_id", id.system_id},
                          {"upload_id", id.upload_id},
                          {"error", gone.error().message}});
    }
    co_return verdict;
  }
  const Error& error = outcome.error();
  if (stop.stopping) {
    const auto released = co_await ledger_.release(lease);
    if (!released) co_return std::unexpected(released.error());
    co_return UploadState::kLeased;
  }
  if (is_transient(error)) {
    trouble = error;
    co_return co_await ledger_.fail(lease, error.message, jitter);
  }
  // What is stored stays; the row tells how far it came.
  const bool some = run.counts().items > run.counts().errors;
  const UploadState verdict = some ? UploadState::kPartial : UploadState::kRejected;
  const auto finished = co_await ledger_.finish(lease, verdict, error.message);
  if (!finished) co_return std::unexpected(finished.error());
  co_return verdict;
}

Task<std::uint64_t> BundleReader::erase_older(Clock::Time before, std::size_t limit) {
  ASAHI_CO_TRY(std::vector<UploadId> old, co_await ledger_.bundles_to_erase(before, limit));
  std::uint64_t erased = 0;
  std::optional<Error> trouble;
  for (UploadId& id : old) {
    auto gone = co_await erase(bundle_prefix({id.system_id, id.upload_id}));
    if (gone) gone = co_await ledger_.bundle_erased(std::move(id));
    if (gone) {
      ++erased;
      continue;
    }
    // One that cannot be erased keeps no younger one; a bucket that is away keeps all.
    const bool away = is_retryable(gone.error());
    if (!trouble) trouble = std::move(gone.error());
    if (away) break;
  }
  if (trouble) co_return std::unexpected(std::move(*trouble));
  co_return erased;
}

Task<void> BundleReader::erase(std::string prefix) {
  // The manifest goes last: without it nobody knows of the rest.
  std::vector<std::string> keys;
  object::ListQuery query{.prefix = prefix};
  do {
    ASAHI_CO_TRY(auto page, co_await bucket_.list(query));
    for (auto& object : page.objects) keys.push_back(std::move(object.key));
    query.after = std::move(page.next);
  } while (!query.after.empty());
  const std::string manifest = prefix + "manifest.json";
  if (std::erase(keys, manifest) > 0) keys.push_back(manifest);
  for (const std::string& key : keys) {
    const auto gone = co_await bucket_.erase(key);
    if (!gone) co_return std::unexpected(gone.error());
  }
  ASAHI_CO_TRY(const auto left, co_await bucket_.list({.prefix = prefix, .limit = 1}));
  if (!left.objects.empty())
    co_return fail(Errc::kConflict, "'" + left.objects.front().key + "' is still there");
  co_return Result<void>{};
}

}  // namespace asahi::memory
