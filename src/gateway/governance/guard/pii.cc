#include "gateway/governance/guard/pii.h"

#include "base/hash.h"
#include "gateway/governance/guard/pii_scanner.h"
#include "gateway/governance/guard/request_texts.h"

namespace asahi::gateway {
namespace {

constexpr PiiType kTypes[] = {PiiType::kCard, PiiType::kSsn, PiiType::kEmail, PiiType::kIp,
                              PiiType::kPhone};

std::string_view token_of(PiiType type) {
  switch (type) {
    case PiiType::kCard:
      return "[CC_REDACTED]";
    case PiiType::kSsn:
      return "[SSN_REDACTED]";
    case PiiType::kEmail:
      return "[EMAIL_REDACTED]";
    case PiiType::kIp:
      return "[IP_REDACTED]";
    case PiiType::kPhone:
      break;
  }
  return "[PHONE_REDACTED]";
}

/// A number as it would be written; empty for values that are none or too short to matter.
std::string digits_of(const json::value& value) {
  std::string text;
  if (const auto* number = value.if_int64(); number != nullptr && *number >= 100'000'000) {
    text = std::to_string(*number);
  } else if (const auto* large = value.if_uint64(); large != nullptr) {
    text = std::to_string(*large);
  }
  return text;
}

PiiTypes find_in(const json::value& value) {
  PiiTypes found;
  if (const auto* text = value.if_string()) return find_pii(*text);
  if (const auto* list = value.if_array()) {
    for (const json::value& item : *list) found |= find_in(item);
  } else if (const auto* object = value.if_object()) {
    for (const auto& member : *object) found |= find_in(member.value());
  } else if (const std::string digits = digits_of(value); !digits.empty()) {
    found = find_pii(digits);
  }
  return found;
}

/// Tool arguments are JSON text, mostly: masked within its values, so that it stays JSON.
PiiTypes mask_arguments(std::string& arguments) {
  if (find_pii(arguments).empty()) return {};
  auto parsed = parse_json(arguments);
  if (!parsed) return mask(arguments);
  const PiiTypes found = mask(*parsed);
  if (!found.empty()) arguments = write_json(*parsed);
  return found;
}

PiiTypes mask_file(llm::FilePart& file) {
  PiiTypes found = mask(file.name);
  auto text = file_text(file);
  if (!text) return found;
  const PiiTypes inside = mask(*text);
  if (!inside.empty()) file.data = base64_encode(*text);
  return found |= inside;
}

PiiTypes mask_part(llm::Part& part) {
  if (auto* text = std::get_if<llm::TextPart>(&part)) return mask(text->text);
  if (auto* result = std::get_if<llm::ToolResultPart>(&part)) return mask(result->text);
  if (auto* call = std::get_if<llm::ToolCallPart>(&part)) return mask_arguments(call->arguments);
  if (auto* refusal = std::get_if<llm::RefusalPart>(&part)) return mask(refusal->text);
  if (auto* file = std::get_if<llm::FilePart>(&part)) return mask_file(*file);
  if (auto* opaque = std::get_if<llm::OpaquePart>(&part)) return mask(opaque->value);
  // Reasoning is signed by its vendor and must travel back unchanged; images and sound are not
  // text.
  return {};
}

PiiTypes find_in_part(const llm::Part& part) {
  if (const auto* text = std::get_if<llm::TextPart>(&part)) return find_pii(text->text);
  if (const auto* result = std::get_if<llm::ToolResultPart>(&part)) return find_pii(result->text);
  if (const auto* call = std::get_if<llm::ToolCallPart>(&part)) return find_pii(call->arguments);
  if (const auto* refusal = std::get_if<llm::RefusalPart>(&part)) return find_pii(refusal->text);
  if (const auto* opaque = std::get_if<llm::OpaquePart>(&part)) return find_in(opaque->value);
  if (const auto* file = std::get_if<llm::FilePart>(&part)) {
    PiiTypes found = find_pii(file->name);
    if (const auto text = file_text(*file)) found |= find_pii(*text);
    return found;
  }
  return {};
}

/// Members of a client's body that are written anew from the messages, or that hold no text of
/// persons (seed is a number): everything else (user, metadata, …) goes to a vendor of the same
/// shape as it came.
bool travels_as_it_came(const json::key_value_pair& field) {
  const std::string_view member = field.key();
  return !field.value().is_number() && member != "messages" && member != "system" &&
         member != "input" && member != "instructions" && member != "prompt" &&
         member != "contents" && member != "tools" && member != "model" &&
         member != "previous_response_id";
}

}  // namespace

std::string_view to_string(PiiType type) {
  switch (type) {
    case PiiType::kCard:
      return "credit_card";
    case PiiType::kSsn:
      return "ssn";
    case PiiType::kEmail:
      return "email";
    case PiiType::kIp:
      return "ip_address";
    case PiiType::kPhone:
      break;
  }
  return "phone";
}

std::vector<std::string> PiiTypes::names() const {
  std::vector<std::string> names;
  for (const PiiType type : kTypes) {
    if (has(type)) names.emplace_back(to_string(type));
  }
  return names;
}

PiiTypes find_pii(std::string_view text) {
  PiiTypes found;
  PiiScanner scanner(text);
  while (const auto hit = scanner.next()) found.add(hit->type);
  return found;
}

PiiTypes mask(std::string& text) {
  PiiTypes found;
  PiiScanner scanner(text);
  std::string masked;
  std::size_t copied = 0;
  while (const auto hit = scanner.next()) {
    if (found.empty()) masked.reserve(text.size() + 16);
    found.add(hit->type);
    masked.append(text, copied, hit->begin - copied).append(token_of(hit->type));
    copied = hit->end;
  }
  if (found.empty()) return found;
  masked.append(text, copied);
  text = std::move(masked);
  return found;
}

PiiTypes mask(json::value& value) {
  PiiTypes found;
  if (auto* text = value.if_string()) {
    if (found = find_pii(*text); found.empty()) return found;
    std::string masked(*text);
    mask(masked);
    *text = masked;
  } else if (auto* list = value.if_array()) {
    for (json::value& item : *list) found |= mask(item);
  } else if (auto* object = value.if_object()) {
    found = mask(*object);
  } else if (std::string digits = digits_of(value); !digits.empty()) {
    found = mask(digits);
    if (!found.empty()) value = digits;
  }
  return found;
}

PiiTypes mask(json::object& object) {
  PiiTypes found;
  for (auto& member : object) found |= mask(member.value());
  return found;
}

PiiTypes find_pii(const llm::ChatRequest& request) {
  PiiTypes found = find_pii(request.user);
  for (const llm::Message& message : request.messages) {
    found |= find_pii(message.name);
    for (const llm::Part& part : message.parts) found |= find_in_part(part);
  }
  const json::object* original = request.original ? request.original->root().if_object() : nullptr;
  if (original == nullptr) return found;
  for (const auto& member : *original) {
    if (travels_as_it_came(member)) found |= find_in(member.value());
  }
  return found;
}

PiiTypes mask(llm::ChatRequest& request) {
  PiiTypes found = mask(request.user);
  PiiTypes in_messages;
  for (llm::Message& message : request.messages) {
    in_messages |= mask(message.name);
    for (llm::Part& part : message.parts) in_messages |= mask_part(part);
  }
  if (!in_messages.empty()) request.messages_changed = true;
  found |= in_messages;

  const json::object* original = request.original ? request.original->root().if_object() : nullptr;
  if (original == nullptr) return found;
  PiiTypes beside;
  for (const auto& member : *original) {
    if (travels_as_it_came(member)) beside |= find_in(member.value());
  }
  if (beside.empty()) return found;
  json::object mended;
  for (const auto& member : *original) {
    json::value& copy = mended.emplace(member.key(), member.value()).first->value();
    if (travels_as_it_came(member)) mask(copy);
  }
  // What was parsed once and only had strings replaced parses again.
  if (auto document = JsonDocument::parse(json::serialize(mended))) {
    request.original = std::move(*document);
  }
  return found |= beside;
}

}  // namespace asahi::gateway
