#include "memory/ingest/push.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/ids.h"
#include "memory/ingest/item_document.h"
#include "net/blocking.h"

namespace asahi::memory {

namespace {

std::unexpected<Error> error_of(const BadItem& bad) {
  auto failure = fail_field(bad.field, bad.field.empty()
                                           ? "the body is no memory: " + bad.detail
                                           : fmt::format("{}: expected {}", bad.field, bad.detail));
  failure.error().details = fmt::format("\"fault\":\"{}\"", fault_name(bad.fault));
  if (bad.fault == ItemFault::kTooLarge) failure.error().code = Errc::kTooLarge;
  return failure;
}

const json::value* member(const json::value& object, std::string_view name) {
  const json::value* value = find_member(object.get_object(), name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

/// "c-" and half of the hash: the same content is the same memory.
std::string id_of(std::string_view content) { return "c-" + to_hex(sha256(content)).substr(0, 32); }

/// What must stand in a pushed memory beyond read_item's rules.
std::optional<BadItem> missing(const json::object& object, std::uint64_t index, bool id_required) {
  const auto absent = [&](std::initializer_list<std::string_view> names) {
    return std::ranges::all_of(names, [&](std::string_view name) {
      const json::value* value = find_member(object, name);
      return value == nullptr || value->is_null();
    });
  };
  if (id_required && absent({"memory_id", "id", "conversation_id"}))
    return BadItem{index, ItemFault::kBadId, "memory_id", "a memory_id"};
  if (absent({"text", "content"}))
    return BadItem{index, ItemFault::kEmpty, id_required ? "text" : "content", "text, not empty"};
  return std::nullopt;
}

/// Members of the body, and whether it has the list of a bundle.
struct Outline {
  json::value rest;
  bool has_list = false;
};
Result<Outline> outline(std::string_view body) {
  ItemScanner scanner(ItemScanner::Format::kBundle);
  // A manifest, and a single memory with its vector, escaped at worst.
  scanner.keep_others(kMaxManifest + ItemScanner::kMaxItem);
  std::string_view rest = body;
  ItemScanner::Step step = ItemScanner::Step::kItem;
  while (step == ItemScanner::Step::kItem || step == ItemScanner::Step::kOversize)
    step = scanner.next(rest);
  if (step == ItemScanner::Step::kMore && scanner.finish() == ItemScanner::Step::kBroken &&
      (scanner.found() || !rest.empty()))
    step = ItemScanner::Step::kBroken;
  if (step == ItemScanner::Step::kBroken)
    return fail(Errc::kInvalidArgument, "the body cannot be read: " + scanner.why());
  Outline out;
  out.has_list = scanner.found();
  if (!out.has_list) {
    // A single memory; its own parser tells best what is wrong with it.
    ASAHI_TRY(out.rest, parse_json(body));
  } else {
    ASAHI_TRY(out.rest, parse_json(scanner.others()));
  }
  if (!out.rest.is_object()) return fail(Errc::kInvalidArgument, "the body is no JSON object");
  return out;
}

/// A bundle's conversations as they stand in the body.
class BodySource final : public PayloadSource {
 public:
  explicit BodySource(const std::string& body) : body_(body) {}
  Task<std::string> read(const File&, std::uint64_t offset, std::size_t length) override {
    co_return body_.substr(offset, length);
  }

 private:
  const std::string& body_;
};

std::string status_of(const UploadCounts& counts) {
  if (counts.errors == 0) return "success";
  return counts.errors == counts.items ? "failed" : "partial";
}

}  // namespace

std::string hourly_upload(Clock::Time now) {
  constexpr std::size_t kToTheHour = 13;  // 2026-11-22T10
  return "push-" + format_rfc3339(now).substr(0, kToTheHour);
}

Task<PushReply> Push::upload(PushCaller caller, std::string body) {
  std::string tenant = caller.reach.tenant();
  return counted(std::move(tenant), take_upload(std::move(caller), std::move(body)));
}

Task<PushReply> Push::memory(PushCaller caller, std::string body) {
  std::string tenant = caller.reach.tenant();
  return counted(std::move(tenant), take_memory(std::move(caller), std::move(body)));
}

Task<PushReply> Push::memories(PushCaller caller, std::string body) {
  std::string tenant = caller.reach.tenant();
  return counted(std::move(tenant), take_memories(std::move(caller), std::move(body)));
}

Task<PushReply> Push::counted(std::string tenant, Task<PushReply> push) {
  const Clock::Steady begun = intake_.clock().steady_now();
  auto reply = co_await std::move(push);
  if (metrics_ == nullptr) co_return reply;
  const auto took = intake_.clock().steady_now() - begun;
  if (reply) {
    for (const auto& [system, counts] : reply->by_system)
      metrics_->ended({tenant, system, reply->status, "push", counts}, took);
  } else {
    // Whose it was is not always known, and never checked: a label for all.
    const std::string unknown = "unknown";
    metrics_->ended({tenant, unknown, "error", "push", UploadCounts{}}, took);
    metrics_->error(unknown, error_type(reply.error()));
  }
  co_return reply;
}

Task<PushReply> Push::store(PushCaller caller, std::vector<PushedItem> items,
                            std::vector<Memory> memories, std::size_t bytes) {
  llm::CallContext context;
  context.deadline = std::min(caller.deadline, intake_.clock().steady_now() + options_.deadline);
  ASAHI_CO_TRY(const auto outcomes, co_await intake_.take(std::move(memories), context));
  PushReply reply;
  auto& by_system = reply.by_system;
  std::size_t next = 0;
  for (PushedItem& item : items) {
    UploadCounts one;
    if (item.bad) {
      one.items = 1;
      ++(item.bad->fault == ItemFault::kEmpty ? one.skipped : one.errors);
    } else {
      item.outcome = outcomes[next++];
      count(one, *item.outcome);
    }
    reply.counts += one;
    if (!item.key.system_id.empty()) by_system[item.key.system_id] += one;
  }
  reply.counts.bytes = bytes;
  const Clock::Time now = intake_.clock().now();
  reply.upload_id = hourly_upload(now);
  std::map<UploadId, UploadCounts> pushed;
  for (auto& [system, counts] : by_system) {
    // Shared out evenly: nobody can tell whose bytes the brackets are.
    counts.bytes = bytes / by_system.size();
    pushed[{caller.reach.tenant(), system, reply.upload_id}] = counts;
  }
  const auto told = co_await ledger_.add_pushed(std::move(pushed));
  if (!told) co_return std::unexpected(told.error());
  reply.status = status_of(reply.counts);
  reply.items = std::move(items);
  reply.stored_at = now;
  co_return reply;
}

Task<PushReply> Push::take_upload(PushCaller caller, std::string body) {
  if (body.size() > options_.max_body)
    co_return fail(Errc::kTooLarge, fmt::format("a body has at most {} bytes", options_.max_body));
  ASAHI_CO_TRY(const Intake::Room room, intake_.reserve(body.size()));
  Result<Outline> outlined =
      co_await net::run_blocking(intake_.work(), [&] { return outline(body); });
  if (!outlined) co_return std::unexpected(outlined.error());
  if (outlined->has_list || member(outlined->rest, "manifest") != nullptr)
    co_return co_await bundle(std::move(caller), std::move(body), std::move(outlined->rest));

  const json::object& object = outlined->rest.get_object();
  if (member(outlined->rest, "system_id") == nullptr)
    co_return fail_field("system_id", "system_id is missing: the system that this memory is of");
  if (const auto bad = missing(object, 0, false)) co_return error_of(*bad);
  ItemRules rules = intake_.rules(caller.reach.tenant());
  rules.upload_id = hourly_upload(rules.now);
  rules.source = "http";
  if (member(outlined->rest, "id") == nullptr && member(outlined->rest, "memory_id") == nullptr &&
      member(outlined->rest, "conversation_id") == nullptr) {
    const json::value* content = member(outlined->rest, "content");
    if (content == nullptr) content = member(outlined->rest, "text");
    if (content->is_string())
      outlined->rest.get_object()["conversation_id"] = id_of(content->get_string());
  }
  auto memory = read_item(outlined->rest.get_object(), rules, 0);
  if (!memory) co_return error_of(memory.error());
  if (auto ok = caller.reach.check(memory->key.system_id); !ok)
    co_return std::unexpected(ok.error());
  std::vector<PushedItem> items(1);
  items[0].key = memory->key;
  std::vector<Memory> memories;
  memories.push_back(std::move(*memory));
  const std::size_t bytes = body.size();
  co_return co_await store(std::move(caller), std::move(items), std::move(memories), bytes);
}

Task<PushReply> Push::bundle(PushCaller caller, std::string body, json::value rest) {
  const json::value* system = member(rest, "system_id");
  if (system == nullptr || !system->is_string())
    co_return fail_field("system_id", "system_id is missing: the system that this bundle is of");
  UploadId id{caller.reach.tenant(), std::string(system->get_string()), ""};
  if (auto ok = check_system_id(id.system_id); !ok) co_return std::unexpected(ok.error());
  if (auto ok = caller.reach.check(id.system_id); !ok) co_return std::unexpected(ok.error());
  const Clock::Time now = intake_.clock().now();
  if (const json::value* upload = member(rest, "upload_id")) {
    if (!upload->is_string()) co_return fail_field("upload_id", "upload_id: expected text");
    id.upload_id = upload->get_string();
    if (auto ok = check_upload_id(id.upload_id); !ok) co_return std::unexpected(ok.error());
  } else {
    id.upload_id = entity_id("upload-", now);
  }
  const json::value* told = member(rest, "manifest");
  if (told == nullptr)
    co_return fail_field("manifest",
                         "manifest is missing: at least uploaded_at and conversation_count");
  const auto manifest = read_manifest(*told, now);
  if (!manifest) co_return std::unexpected(violations_error(manifest.error(), "manifest."));

  ASAHI_CO_TRY(const UploadLease lease,
               co_await ledger_.open(id, UploadOrigin::kPush, caller.method));
  ItemRules rules = intake_.rules(caller.reach.tenant());
  rules.system_id = id.system_id;
  rules.upload_id = id.upload_id;
  rules.uploaded_at = manifest->uploaded_at;
  const auto metadata = parse_json(manifest->metadata);
  if (metadata && metadata->is_object()) {
    const json::value* model = find_member(metadata->get_object(), "embedding_model");
    if (model != nullptr && model->is_string()) rules.declared_model = model->get_string();
  }
  UploadRun run(intake_, ledger_, lease, options_.payload.run);
  BodySource source(body);
  Interruption stop;
  stop.deadline = std::min(caller.deadline, intake_.clock().steady_now() + options_.deadline);
  std::vector<PayloadSource::File> files;
  files.push_back({"body.json", body.size(), ""});
  const auto outcome =
      co_await run_payload(source, std::move(files), Compression::kNone, std::move(rules), intake_,
                           run, 0, stop, options_.payload);
  if (!outcome) {
    // The row tells what happened even when nobody waits for the answer.
    const auto failed =
        co_await ledger_.finish(lease, UploadState::kFailed, outcome.error().message);
    if (!failed && failed.error().code != Errc::kConflict)
      co_return std::unexpected(failed.error());
    co_return std::unexpected(outcome.error());
  }
  const auto finished = co_await ledger_.finish(lease, run.verdict(), run.remark());
  if (!finished) co_return std::unexpected(finished.error());
  PushReply reply;
  reply.counts = run.counts();
  reply.status = status_of(reply.counts);
  reply.upload_id = id.upload_id;
  reply.by_system.emplace(id.system_id, run.counts());
  reply.bad_items = run.bad_items();
  reply.stored_at = intake_.clock().now();
  co_return reply;
}

Task<PushReply> Push::take_memory(PushCaller caller, std::string body) {
  ASAHI_CO_TRY(const Intake::Room room, intake_.reserve(body.size()));
  if (body.size() > ItemScanner::kMaxItem)
    co_return fail(Errc::kTooLarge,
                   fmt::format("one memory has at most {} bytes of JSON", ItemScanner::kMaxItem));
  ASAHI_CO_TRY(const json::value root, parse_json(body));
  if (!root.is_object()) co_return fail(Errc::kInvalidArgument, "the body is no JSON object");
  if (const auto bad = missing(root.get_object(), 0, true)) co_return error_of(*bad);
  ItemRules rules = intake_.rules(caller.reach.tenant());
  rules.upload_id = hourly_upload(rules.now);
  rules.method = caller.method;
  auto memory = read_item(root.get_object(), rules, 0);
  if (!memory) co_return error_of(memory.error());
  if (auto ok = caller.reach.check(memory->key.system_id); !ok)
    co_return std::unexpected(ok.error());
  std::vector<PushedItem> items(1);
  items[0].key = memory->key;
  std::vector<Memory> memories;
  memories.push_back(std::move(*memory));
  const std::size_t bytes = body.size();
  co_return co_await store(std::move(caller), std::move(items), std::move(memories), bytes);
}

Task<PushReply> Push::take_memories(PushCaller caller, std::string body) {
  if (body.size() > options_.max_body)
    co_return fail(Errc::kTooLarge, fmt::format("a body has at most {} bytes", options_.max_body));
  ASAHI_CO_TRY(const Intake::Room room, intake_.reserve(body.size()));
  ItemRules rules = intake_.rules(caller.reach.tenant());
  rules.upload_id = hourly_upload(rules.now);
  rules.method = caller.method;
  struct Parsed {
    std::vector<PushedItem> items;
    std::vector<Memory> memories;
    std::string why;
    bool too_many = false;
  };
  const std::size_t most = options_.max_batch;
  Parsed parsed = co_await net::run_blocking(intake_.work(), [&] {
    Parsed out;
    ItemScanner scanner(ItemScanner::Format::kBundle, ItemScanner::kMaxItem, "memories");
    std::string_view rest = body;
    for (;;) {
      const ItemScanner::Step step = scanner.next(rest);
      if (step == ItemScanner::Step::kMore) break;
      if (step == ItemScanner::Step::kBroken) {
        out.why = scanner.why();
        return out;
      }
      if (out.items.size() == most) {
        out.too_many = true;
        return out;
      }
      PushedItem& item = out.items.emplace_back();
      item.index = out.items.size() - 1;
      if (step == ItemScanner::Step::kOversize) {
        item.bad = BadItem{item.index, ItemFault::kTooLarge, "",
                           fmt::format("at most {} bytes of JSON", ItemScanner::kMaxItem)};
        continue;
      }
      const auto document = ItemDocument::parse(scanner.item());
      if (!document || !document->root().is_object()) {
        item.bad = BadItem{item.index, ItemFault::kNotJson, "",
                           document ? "an object" : document.error().message};
        continue;
      }
      const json::object& object = document->root().get_object();
      item.bad = missing(object, item.index, true);
      if (item.bad) continue;
      auto memory = read_item(object, rules, item.index, document->numbers());
      if (!memory) {
        item.bad = std::move(memory.error());
      } else if (!caller.reach.has(memory->key.system_id)) {
        item.bad = BadItem{item.index, ItemFault::kBadSystem, "system_id",
                           "a system that this credential has"};
      } else {
        item.key = memory->key;
        out.memories.push_back(std::move(*memory));
      }
    }
    if (scanner.finish() == ItemScanner::Step::kBroken) out.why = scanner.why();
    return out;
  });
  if (!parsed.why.empty())
    co_return fail(Errc::kInvalidArgument, "the body cannot be read: " + parsed.why);
  if (parsed.too_many)
    co_return fail_field("memories", fmt::format("a batch has at most {} memories", most));
  if (parsed.items.empty()) co_return fail_field("memories", "a batch has at least one memory");
  const std::size_t bytes = body.size();
  co_return co_await store(std::move(caller), std::move(parsed.items), std::move(parsed.memories),
                           bytes);
}

}  // namespace asahi::memory
