#include "memory/graph/change.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/json.h"
#include "base/json_out.h"

namespace asahi::memory::graph {
namespace {

constexpr auto kKinds = std::to_array<std::string_view>(
    {"learn", "supersede", "contradict", "retract", "edit", "forget", "forget_system", "start",
     "stored_source", "stored_entity", "stored_fact"});
constexpr auto kEnds = std::to_array<End>({End::kNone, End::kReplaced, End::kSuperseded,
                                           End::kContradicted, End::kRetracted, End::kEdited});

std::int64_t count(Time time) { return time.time_since_epoch().count(); }
Time time_of(std::int64_t count) { return Time{std::chrono::nanoseconds{count}}; }

void write_source(JsonOut& out, const Source& source) {
  out.member("system", source.system_id).member("memory", source.conversation_id);
}

void write(JsonOut& out, const StatedFact& fact) {
  out.open_object();
  out.member("from", fact.from).member("to", fact.to).member("type", fact.type);
  // As rows keep it: the same number comes back.
  out.member("weight", static_cast<std::int64_t>(std::llround(fact.weight * 1e6)));
  if (fact.exclusive != Exclusive::kNone)
    out.member("exclusive", static_cast<std::int64_t>(fact.exclusive));
  if (fact.valid_from != kAlways) out.member("valid_from", count(fact.valid_from));
  if (fact.valid_to != kForever) out.member("valid_to", count(fact.valid_to));
  if (fact.properties != "{}") out.member("properties", fact.properties);
  if (!fact.evidence.empty()) out.member("evidence", fact.evidence);
  out.close_object();
}

void write(JsonOut& out, const Version& version) {
  out.open_object();
  out.member("valid_from", count(version.valid_from)).member("valid_to", count(version.valid_to));
  out.member("recorded_at", count(version.recorded_at));
  out.member("retracted_at", count(version.retracted_at));
  out.member("weight", version.weight_micros);
  out.member("end", static_cast<std::int64_t>(version.end));
  out.member("ended_by", static_cast<std::int64_t>(version.ended_by));
  out.member("properties", version.properties).member("evidence", version.evidence);
  out.close_object();
}

void write(JsonOut& out, const StoredFact& fact) {
  out.open_object();
  out.member("id", static_cast<std::int64_t>(fact.id));
  out.member("from", fact.from).member("to", fact.to).member("type", fact.type);
  write_source(out, fact.source);
  out.member("exclusive", static_cast<std::int64_t>(fact.exclusive));
  // By their bits: JSON's numbers are signed.
  out.member("identity", static_cast<std::int64_t>(fact.identity));
  out.member("stated", static_cast<std::int64_t>(fact.stated));
  out.member("stated_to", count(fact.stated_to)).member("cut_to", count(fact.cut_to));
  out.member("cut_by", static_cast<std::int64_t>(fact.cut_by));
  out.member("withdrawn", static_cast<std::int64_t>(fact.withdrawn));
  out.key("versions").open_array();
  for (const Version& version : fact.versions) write(out, version);
  out.close_array();
  out.close_object();
}

/// Reads members of one object; what is missing keeps its default, what has another type is a
/// fault.
class Reader {
 public:
  Reader(const json::value& value, std::string& fault) : fault_(fault) {
    object_ = value.if_object();
    if (object_ == nullptr) fault_ = "expected an object";
  }
  bool has(std::string_view key) const { return find(key) != nullptr; }
  void text(std::string_view key, std::string& out) {
    const json::value* const value = find(key);
    if (value == nullptr) return;
    if (const auto* string = value->if_string())
      out.assign(string->data(), string->size());
    else
      wrong(key, "a string");
  }
  void number(std::string_view key, std::int64_t& out) {
    const json::value* const value = find(key);
    if (value == nullptr) return;
    if (const auto* number = value->if_int64())
      out = *number;
    else
      wrong(key, "an integer");
  }
  void unsigned_number(std::string_view key, std::uint64_t& out) {
    auto number_read = static_cast<std::int64_t>(out);
    number(key, number_read);
    out = static_cast<std::uint64_t>(number_read);
  }
  void time(std::string_view key, Time& out) {
    std::int64_t read = count(out);
    number(key, read);
    out = time_of(read);
  }
  void weight(std::string_view key, double& out) {
    std::int64_t micros = std::llround(out * 1e6);
    number(key, micros);
    out = static_cast<double>(micros) / 1e6;
  }
  void exclusive(Exclusive& out) {
    std::int64_t read = static_cast<std::int64_t>(out);
    number("exclusive", read);
    if (read < 0 || read > 2)
      wrong("exclusive", "0, 1 or 2");
    else
      out = static_cast<Exclusive>(read);
  }
  void end(std::string_view key, End& out) {
    std::int64_t read = static_cast<std::int64_t>(out);
    number(key, read);
    if (read < 0 || read >= static_cast<std::int64_t>(kEnds.size()))
      wrong(key, "one of the ends");
    else
      out = kEnds[static_cast<std::size_t>(read)];
  }
  template <class Take>
  void each(std::string_view key, Take&& take) {
    const json::value* const value = find(key);
    if (value == nullptr) return;
    const auto* const array = value->if_array();
    if (array == nullptr) return wrong(key, "an array");
    for (const json::value& item : *array) take(item);
  }
  const json::value* find(std::string_view key) const {
    return object_ == nullptr ? nullptr : object_->if_contains(key);
  }

 private:
  void wrong(std::string_view key, std::string_view expected) {
    if (fault_.empty()) fault_ = fmt::format("'{}' is not {}", key, expected);
  }
  const json::object* object_ = nullptr;
  std::string& fault_;
};

StatedFact read_fact(const json::value& value, std::string& fault) {
  StatedFact out;
  Reader reader(value, fault);
  reader.text("from", out.from);
  reader.text("to", out.to);
  reader.text("type", out.type);
  reader.weight("weight", out.weight);
  reader.exclusive(out.exclusive);
  reader.time("valid_from", out.valid_from);
  reader.time("valid_to", out.valid_to);
  reader.text("properties", out.properties);
  reader.text("evidence", out.evidence);
  return out;
}

Version read_version(const json::value& value, std::string& fault) {
  Version out;
  Reader reader(value, fault);
  reader.time("valid_from", out.valid_from);
  reader.time("valid_to", out.valid_to);
  reader.time("recorded_at", out.recorded_at);
  reader.time("retracted_at", out.retracted_at);
  reader.number("weight", out.weight_micros);
  reader.end("end", out.end);
  reader.unsigned_number("ended_by", out.ended_by);
  reader.text("properties", out.properties);
  reader.text("evidence", out.evidence);
  return out;
}

StoredFact read_stored(const json::value& value, std::string& fault) {
  StoredFact out;
  Reader reader(value, fault);
  reader.unsigned_number("id", out.id);
  reader.text("from", out.from);
  reader.text("to", out.to);
  reader.text("type", out.type);
  reader.text("system", out.source.system_id);
  reader.text("memory", out.source.conversation_id);
  reader.exclusive(out.exclusive);
  reader.unsigned_number("identity", out.identity);
  reader.unsigned_number("stated", out.stated);
  reader.time("stated_to", out.stated_to);
  reader.time("cut_to", out.cut_to);
  reader.unsigned_number("cut_by", out.cut_by);
  reader.end("withdrawn", out.withdrawn);
  reader.each("versions",
              [&](const json::value& item) { out.versions.push_back(read_version(item, fault)); });
  return out;
}

}  // namespace

std::string encode(const Change& change) {
  std::string text;
  JsonOut out(text);
  out.open_object();
  out.member("kind", std::string(kKinds[static_cast<std::size_t>(change.kind)]));
  out.member("at", count(change.at));
  const Statement& statement = change.statement;
  if (!statement.source.system_id.empty()) write_source(out, statement.source);
  if (!statement.entities.empty()) {
    out.key("entities").open_array();
    for (const StatedEntity& entity : statement.entities) {
      out.open_object().member("id", entity.id);
      if (entity.properties != "{}") out.member("properties", entity.properties);
      out.close_object();
    }
    out.close_array();
  }
  if (!statement.facts.empty()) {
    out.key("facts").open_array();
    for (const StatedFact& fact : statement.facts) write(out, fact);
    out.close_array();
  }
  if (change.fact != 0) out.member("fact", static_cast<std::int64_t>(change.fact));
  if (change.by != 0) out.member("by", static_cast<std::int64_t>(change.by));
  if (change.kind == Change::kEdit) {
    out.key("edit").open_object();
    const Edit& edit = change.edit;
    if (edit.weight)
      out.member("weight", static_cast<std::int64_t>(std::llround(*edit.weight * 1e6)));
    if (edit.valid_from) out.member("valid_from", count(*edit.valid_from));
    if (edit.valid_to) out.member("valid_to", count(*edit.valid_to));
    if (edit.properties) out.member("properties", *edit.properties);
    out.close_object();
  }
  if (change.kind == Change::kStoredFact) {
    out.key("stored");
    write(out, change.stored);
  }
  out.close_object();
  return text;
}

Result<Change> decode(std::string_view line) {
  const auto corrupt = [](std::string_view why) {
    return fail(Errc::kCorrupt, fmt::format("a line of the graph's log cannot be read: {}", why));
  };
  const auto value = parse_json(line, 8);
  if (!value) return corrupt(value.error().message);
  std::string fault;
  Reader reader(*value, fault);
  Change out;
  std::string kind;
  reader.text("kind", kind);
  const auto known = std::ranges::find(kKinds, std::string_view(kind));
  if (known == kKinds.end()) return corrupt("its kind is unknown");
  out.kind = static_cast<Change::Kind>(known - kKinds.begin());
  reader.time("at", out.at);
  reader.text("system", out.statement.source.system_id);
  reader.text("memory", out.statement.source.conversation_id);
  reader.each("entities", [&](const json::value& item) {
    Reader entity(item, fault);
    StatedEntity one;
    entity.text("id", one.id);
    entity.text("properties", one.properties);
    out.statement.entities.push_back(std::move(one));
  });
  reader.each("facts", [&](const json::value& item) {
    out.statement.facts.push_back(read_fact(item, fault));
  });
  reader.unsigned_number("fact", out.fact);
  reader.unsigned_number("by", out.by);
  if (const json::value* const edit = reader.find("edit")) {
    Reader members(*edit, fault);
    const auto take = [&](std::string_view key, auto& into, auto read) {
      if (members.has(key)) read(into.emplace());
    };
    take("weight", out.edit.weight, [&](double& v) { members.weight("weight", v); });
    take("valid_from", out.edit.valid_from, [&](Time& v) { members.time("valid_from", v); });
    take("valid_to", out.edit.valid_to, [&](Time& v) { members.time("valid_to", v); });
    take("properties", out.edit.properties, [&](std::string& v) { members.text("properties", v); });
  }
  if (const json::value* const stored = reader.find("stored"))
    out.stored = read_stored(*stored, fault);
  if (!fault.empty()) return corrupt(fault);
  return out;
}

}  // namespace asahi::memory::graph
