#include "gateway/batch_api/batch_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/ids.h"
#include "base/json_out.h"
#include "base/utf8.h"
#include "gateway/batch_api/caller.h"
#include "gateway/batch_api/multipart.h"
#include "identity/principal.h"

namespace asahi::gateway {
namespace {

using Parts = std::shared_ptr<const BatchRouteParts>;
using Body = Task<http::Response> (*)(const BatchRouteParts& parts, http::Context& context);

constexpr std::int64_t kDayMs = 86'400'000;
/// What a form has around its file.
constexpr std::size_t kFormBytes = 65'536;
constexpr std::size_t kMostNameBytes = 255;
constexpr std::size_t kMostPage = 100;

void add(http::Router& router, const Parts& parts, http::Method method, const std::string& pattern,
         Body body, std::size_t max_body_bytes = 0) {
  router.add({.method = method,
              .pattern = pattern,
              .handler = [parts, body](http::Context& context) -> Aw<http::Response> {
                auto reply = co_await body(*parts, context);
                if (!reply) co_return parts->errors(reply.error(), context);
                co_return std::move(*reply);
              },
              .errors = parts->errors,
              .access = "infer",
              .max_body_bytes = max_body_bytes});
}

const std::string& org_of(const http::Context& context) {
  return identity::principal_of(context).org_id;
}

void write_time(JsonOut& out, std::string_view key, std::int64_t ms) {
  out.key(key);
  if (ms == 0) {
    out.null();
  } else {
    out.integer(ms / 1'000);
  }
}

void write_text(JsonOut& out, std::string_view key, const std::string& text) {
  out.key(key);
  if (text.empty()) {
    out.null();
  } else {
    out.string(text);
  }
}

std::string file_json(const StoredFile& file) {
  std::string text;
  JsonOut out(text);
  out.open_object()
      .member("id", file.id)
      .member("object", "file")
      .member("bytes", file.bytes)
      .member("created_at", file.created_at / 1'000)
      .member("expires_at", file.expires_at / 1'000)
      .member("filename", file.filename)
      .member("purpose", file.purpose)
      .member("status", "processed");
  out.key("status_details").null().close_object();
  return text;
}

std::string batch_json(const Batch& batch, const BatchStore::Counts& counts) {
  std::string text;
  JsonOut out(text);
  out.open_object()
      .member("id", batch.id)
      .member("object", "batch")
      .member("endpoint", batch.endpoint);
  out.key("errors");
  if (batch.errors.empty()) {
    out.null();
  } else {
    out.open_object().member("object", "list").key("data").raw(batch.errors).close_object();
  }
  out.member("input_file_id", batch.input_file_id).member("completion_window", "24h");
  out.member("status", batch.status);
  // Files exist once the batch is over.
  const bool over = batch.completed_at + batch.expired_at + batch.cancelled_at > 0;
  write_text(out, "output_file_id", over ? batch.output_file_id : "");
  write_text(out, "error_file_id", over ? batch.error_file_id : "");
  out.member("created_at", batch.created_at / 1'000);
  write_time(out, "in_progress_at", batch.in_progress_at);
  write_time(out, "expires_at", batch.expires_at);
  write_time(out, "finalizing_at", batch.finalizing_at);
  write_time(out, "completed_at", batch.completed_at);
  write_time(out, "failed_at", batch.failed_at);
  write_time(out, "expired_at", batch.expired_at);
  write_time(out, "cancelling_at", batch.cancelling_at);
  write_time(out, "cancelled_at", batch.cancelled_at);
  out.key("request_counts")
      .open_object()
      .member("total", batch.total)
      .member("completed", over ? batch.completed : counts.answered)
      .member("failed", over ? batch.failed : counts.failed)
      .close_object();
  out.key("metadata");
  if (batch.metadata.empty()) {
    out.null();
  } else {
    out.raw(batch.metadata);
  }
  out.close_object();
  return text;
}

/// `items`: their JSON and ids, in order.
std::string list_json(const std::vector<std::pair<std::string, std::string>>& items, bool more) {
  std::string text;
  JsonOut out(text);
  out.open_object().member("object", "list");
  out.key("data").open_array();
  for (const auto& [id, item] : items) out.raw(item);
  out.close_array();
  write_text(out, "first_id", items.empty() ? std::string() : items.front().first);
  write_text(out, "last_id", items.empty() ? std::string() : items.back().first);
  out.member("has_more", more).close_object();
  return text;
}

/// What an id, or another word of ours, may look like: nothing else is asked of the database.
bool is_word(std::string_view text) {
  return text.size() <= 64 && std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
         });
}

/// A file name as it can be stored and shown.
std::string printable(std::string_view name) {
  std::string text = mended_utf8(name, kMostNameBytes);
  std::erase_if(text, [](unsigned char c) { return c < 0x20 || c == 0x7F; });
  return text.empty() ? "unnamed" : text;
}

std::unexpected<Error> no_such(std::string_view what, std::string_view id) {
  auto missing = fail(Errc::kNotFound, fmt::format("there is no {} '{}'", what, id.substr(0, 64)));
  missing.error().reason = fmt::format("{}_not_found", what);
  missing.error().field = "id";
  return missing;
}

Result<PageRequest> page_of(const http::Context& context) {
  PageRequest page;
  if (const auto limit = context.request.query_param("limit"); limit && !limit->empty()) {
    std::size_t number = 0;
    const auto [end, wrong] = std::from_chars(limit->data(), limit->data() + limit->size(), number);
    if (wrong != std::errc{} || end != limit->data() + limit->size() || number == 0)
      return fail_field("limit", "limit must be a whole number from 1 on");
    page.limit = std::min(number, kMostPage);
  }
  page.after = context.request.query_param("after").value_or("");
  page.purpose = context.request.query_param("purpose").value_or("");
  if (!is_word(page.after)) return fail_field("after", "after must be the id of an item");
  if (!is_word(page.purpose)) return fail_field("purpose", "purpose must be batch or batch_output");
  const std::string order = context.request.query_param("order").value_or("desc");
  if (order != "asc" && order != "desc") return fail_field("order", "order must be asc or desc");
  page.ascending = order == "asc";
  return page;
}

/// May this organisation's prompts be kept, and must they be encrypted?
Task<bool> must_seal(const BatchRouteParts& parts, const http::Context& context) {
  auto caller = identity::shared_principal_of(context);
  Terms terms;
  if (auto known = parts.governor.try_terms(caller)) {
    terms = *std::move(known);
  } else {
    ASAHI_CO_TRY(terms, co_await parts.governor.terms(caller));
  }
  const ComplianceDuties& duties = terms.rules->duties;
  if (!duties.store_prompts || (duties.needs_encryption && !parts.store.can_seal())) {
    auto refused = fail(Errc::kForbidden,
                        !duties.store_prompts
                            ? "the organisation's compliance profile does not let prompts be "
                              "stored, which files and batches do; send single requests"
                            : "the organisation's compliance profile wants stored prompts "
                              "encrypted, and this gateway has no encryption key");
    refused.error().reason = "compliance_violation";
    co_return refused;
  }
  co_return duties.needs_encryption;
}

// ---- Files

Result<std::int64_t> life_of(const std::vector<FormPart>& form, std::int64_t longest_ms) {
  for (const FormPart& part : form) {
    if (part.name == "expires_after[anchor]" && part.content != "created_at")
      return fail_field(part.name, "expires_after.anchor must be created_at");
    if (part.name != "expires_after[seconds]") continue;
    std::int64_t seconds = 0;
    const char* end = part.content.data() + part.content.size();
    const auto read = std::from_chars(part.content.data(), end, seconds);
    if (read.ec != std::errc{} || read.ptr != end || seconds < 3'600 || seconds > 2'592'000)
      return fail_field(part.name, "expires_after.seconds must be 3600 to 2592000");
    return std::min(longest_ms, seconds * 1'000);
  }
  return longest_ms;
}

Task<http::Response> upload(const BatchRouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const auto form,
               read_multipart(context.request.headers.get("content-type"), context.request.body));
  const auto find = [&](std::string_view name) -> const FormPart* {
    const auto found = std::ranges::find(form, name, &FormPart::name);
    return found == form.end() ? nullptr : &*found;
  };
  const FormPart* purpose = find("purpose");
  if (purpose == nullptr || purpose->content != "batch") {
    co_return fail_field("purpose",
                         "purpose must be \"batch\": this gateway keeps files for batches only");
  }
  const FormPart* content = find("file");
  if (content == nullptr || content->filename.empty())
    co_return fail_field("file", "the form needs a part 'file' with a file name");
  if (content->content.empty()) co_return fail_field("file", "the file is empty");
  if (content->content.size() > parts.config.max_file_bytes) {
    co_return fail(Errc::kTooLarge,
                   fmt::format("the file has {} bytes; at most {} are accepted "
                               "(batch_api.max_file_bytes)",
                               content->content.size(), parts.config.max_file_bytes));
  }
  StoredFile file;
  ASAHI_CO_TRY(file.sealed, co_await must_seal(parts, context));
  ASAHI_CO_TRY(const std::int64_t life, life_of(form, parts.config.keep_days * kDayMs));
  const identity::Principal& caller = identity::principal_of(context);
  file.id = entity_id("file-", parts.clock.now());
  file.org_id = caller.org_id;
  file.user_id = caller.user_id;
  file.filename = printable(content->filename);
  file.purpose = "batch";
  file.created_at = parts.store.now();
  file.expires_at = file.created_at + life;
  std::string bytes(content->content);
  context.request.body.clear();
  context.request.body.shrink_to_fit();  // `form` points to nothing from here on
  ASAHI_CO_TRY(file, co_await parts.store.add_file(std::move(file), std::move(bytes),
                                                   parts.config.max_org_bytes));
  co_return http::Response::json(200, file_json(file));
}

Task<http::Response> list_files(const BatchRouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(PageRequest wanted, page_of(context));
  ASAHI_CO_TRY(const auto page, co_await parts.store.files(org_of(context), std::move(wanted)));
  std::vector<std::pair<std::string, std::string>> items;
  for (const StoredFile& file : page.items) items.emplace_back(file.id, file_json(file));
  co_return http::Response::json(200, list_json(items, page.more));
}

Task<StoredFile> find_file(const BatchRouteParts& parts, const http::Context& context) {
  const std::string id(context.path_param("id"));
  if (!is_word(id)) co_return no_such("file", "?");
  ASAHI_CO_TRY(auto file, co_await parts.store.file(org_of(context), id));
  if (!file) co_return no_such("file", id);
  co_return *std::move(file);
}

Task<http::Response> get_file(const BatchRouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const StoredFile file, co_await find_file(parts, context));
  co_return http::Response::json(200, file_json(file));
}

Task<void> send_parts(BatchStore* store, StoredFile file, std::int64_t first,
                      http::BodyWriter* writer) {
  for (std::int64_t seq = first; seq < file.parts; ++seq) {
    ASAHI_CO_TRY(std::string part, co_await store->part(file, seq));
    if (auto sent = co_await writer->write(std::move(part)); !sent) co_return sent;
  }
  co_return Result<void>{};
}

Task<http::Response> file_content(const BatchRouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const StoredFile file, co_await find_file(parts, context));
  http::Response response;
  response.headers.set("content-type", "application/octet-stream");
  if (file.parts == 0) co_return response;
  // The first part before the status goes out: a file that cannot be read is an error, not half a
  // file.
  ASAHI_CO_TRY(std::string first, co_await parts.store.part(file, 0));
  if (file.parts == 1) {
    response.body = std::move(first);
    co_return response;
  }
  response.stream = [store = &parts.store, file](http::BodyWriter& writer) {
    return send_parts(store, file, 0, &writer);
  };
  co_return response;
}

Task<http::Response> delete_file(const BatchRouteParts& parts, http::Context& context) {
  const std::string id(context.path_param("id"));
  if (!is_word(id)) co_return no_such("file", "?");
  ASAHI_CO_TRY(const bool gone, co_await parts.store.remove_file(org_of(context), id));
  if (!gone) co_return no_such("file", id);
  std::string text;
  JsonOut(text)
      .open_object()
      .member("id", id)
      .member("object", "file")
      .member("deleted", true)
      .close_object();
  co_return http::Response::json(200, std::move(text));
}

// ---- Batches

Result<std::string> metadata_of(const json::object& body) {
  const json::value* given = body.if_contains("metadata");
  if (given == nullptr || given->is_null()) return std::string();
  const json::object* metadata = given->if_object();
  constexpr std::size_t kMostPairs = 16, kMostKey = 64, kMostValue = 512;
  const bool fits = metadata != nullptr && metadata->size() <= kMostPairs &&
                    std::ranges::all_of(*metadata, [](const auto& member) {
                      return member.key().size() <= kMostKey && member.value().is_string() &&
                             member.value().get_string().size() <= kMostValue;
                    });
  if (!fits) {
    return fail_field("metadata",
                      "metadata is an object of at most 16 strings, keys up to 64 bytes and "
                      "values up to 512");
  }
  return write_json(*given);
}

Task<http::Response> create_batch(const BatchRouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const json::value parsed, parse_json(context.request.body, 8));
  const json::object* body = parsed.if_object();
  if (body == nullptr) co_return fail(Errc::kInvalidArgument, "the body must be a JSON object");
  const auto text = [&](std::string_view key) -> std::string {
    const json::value* value = body->if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
  };
  for (const auto& member : *body) {
    const std::string_view key = member.key();
    if (key != "input_file_id" && key != "endpoint" && key != "completion_window" &&
        key != "metadata" && key != "output_expires_after") {
      co_return fail_field(std::string(key.substr(0, 64)),
                           fmt::format("'{}' is not known here", key.substr(0, 64)));
    }
  }
  Batch batch;
  batch.endpoint = text("endpoint");
  if (parts.runner.endpoint(batch.endpoint) == nullptr) {
    co_return fail_field(
        "endpoint", "endpoint must be /v1/chat/completions, /v1/completions or /v1/embeddings");
  }
  if (text("completion_window") != "24h")
    co_return fail_field("completion_window", "completion_window must be \"24h\"");
  batch.input_file_id = text("input_file_id");
  ASAHI_CO_TRY(batch.metadata, metadata_of(*body));
  if (!is_word(batch.input_file_id))
    co_return fail_field("input_file_id", "input_file_id must be the id of an uploaded file");
  ASAHI_CO_TRY(const auto file, co_await parts.store.file(org_of(context), batch.input_file_id));
  if (!file || file->purpose != "batch") {
    auto missing = no_such("file", batch.input_file_id);
    missing.error().field = "input_file_id";
    co_return missing;
  }
  ASAHI_CO_TRY(batch.sealed, co_await must_seal(parts, context));
  const identity::Principal& caller = identity::principal_of(context);
  batch.id = entity_id("batch_", parts.clock.now());
  batch.org_id = caller.org_id;
  batch.user_id = caller.user_id;
  batch.caller = caller_json(caller);
  batch.status = batch_status::kValidating;
  batch.created_at = parts.store.now();
  batch.expires_at = batch.created_at + parts.config.window_hours * 3'600'000LL;
  if (auto added = co_await parts.store.add_batch(batch, parts.config.max_open); !added)
    co_return std::unexpected(std::move(added.error()));
  co_return http::Response::json(200, batch_json(batch, {}));
}

Task<http::Response> show_batch(const BatchRouteParts& parts, std::string org, std::string id) {
  if (!is_word(id)) co_return no_such("batch", "?");
  ASAHI_CO_TRY(const auto batch, co_await parts.store.batch(org, id));
  if (!batch) co_return no_such("batch", id);
  ASAHI_CO_TRY(const BatchStore::Counts counts, co_await parts.store.counts(id));
  co_return http::Response::json(200, batch_json(*batch, counts));
}

Task<http::Response> get_batch(const BatchRouteParts& parts, http::Context& context) {
  co_return co_await show_batch(parts, org_of(context), std::string(context.path_param("id")));
}

Task<http::Response> list_batches(const BatchRouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(PageRequest wanted, page_of(context));
  ASAHI_CO_TRY(const auto page, co_await parts.store.batches(org_of(context), std::move(wanted)));
  std::vector<std::pair<std::string, std::string>> items;
  for (const Batch& batch : page.items) {
    BatchStore::Counts counts;
    if (batch.status == batch_status::kInProgress || batch.status == batch_status::kFinalizing ||
        batch.status == batch_status::kCancelling) {
      ASAHI_CO_TRY(counts, co_await parts.store.counts(batch.id));
    }
    items.emplace_back(batch.id, batch_json(batch, counts));
  }
  co_return http::Response::json(200, list_json(items, page.more));
}

Task<http::Response> cancel_batch(const BatchRouteParts& parts, http::Context& context) {
  const std::string id(context.path_param("id"));
  if (!is_word(id)) co_return no_such("batch", "?");
  ASAHI_CO_TRY(const auto batch, co_await parts.store.batch(org_of(context), id));
  if (!batch) co_return no_such("batch", id);
  ASAHI_CO_TRY(const bool asked, co_await parts.store.cancel(org_of(context), id));
  if (!asked && batch->status != batch_status::kCancelling &&
      batch->status != batch_status::kCancelled) {
    auto over = fail(Errc::kConflict,
                     fmt::format("a batch whose status is {} cannot be cancelled", batch->status));
    over.error().reason = "batch_not_cancellable";
    co_return over;
  }
  co_return co_await show_batch(parts, org_of(context), id);
}

}  // namespace

void add_batch_routes(http::Router& router, BatchRouteParts given) {
  const auto parts = std::make_shared<const BatchRouteParts>(std::move(given));
  using http::Method;
  add(router, parts, Method::kPost, "/v1/files", upload, parts->config.max_file_bytes + kFormBytes);
  add(router, parts, Method::kGet, "/v1/files", list_files);
  add(router, parts, Method::kGet, "/v1/files/{id}", get_file);
  add(router, parts, Method::kDelete, "/v1/files/{id}", delete_file);
  add(router, parts, Method::kGet, "/v1/files/{id}/content", file_content);
  add(router, parts, Method::kPost, "/v1/batches", create_batch);
  add(router, parts, Method::kGet, "/v1/batches", list_batches);
  add(router, parts, Method::kGet, "/v1/batches/{id}", get_batch);
  add(router, parts, Method::kPost, "/v1/batches/{id}/cancel", cancel_batch);
}

}  // namespace asahi::gateway
