#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "llm/wire/openai_responses.h"

namespace asahi::llm::wire::responses {
namespace {

constexpr auto kRoles =
    std::to_array<std::string_view>({"user", "assistant", "system", "developer"});
constexpr auto kDetails = std::to_array<std::string_view>({"low", "high", "auto", "original"});
constexpr auto kAudioFormats = std::to_array<std::string_view>({"wav", "mp3"});
constexpr auto kPartTypes = std::to_array<std::string_view>(
    {"input_text", "output_text", "input_image", "input_file", "input_audio", "refusal"});

Role role_of(std::string_view name) {
  if (name == "assistant") return Role::kAssistant;
  if (name == "system") return Role::kSystem;
  if (name == "developer") return Role::kDeveloper;
  return Role::kUser;
}

bool has_text(const Message& message) {
  return std::ranges::any_of(
      message.parts, [](const Part& part) { return std::holds_alternative<TextPart>(part); });
}

bool has_calls(const Message& message) {
  return std::ranges::any_of(
      message.parts, [](const Part& part) { return std::holds_alternative<ToolCallPart>(part); });
}

// The texts of a list of {"type": …, "text": …}, as summaries and reasoning contents are.
void join_texts(const json::array* list, std::string& out) {
  if (list == nullptr) return;
  for (const auto& part : *list) {
    const auto* object = part.if_object();
    if (object == nullptr) continue;
    if (!out.empty()) out += "\n\n";
    out += string_at(*object, "text");
  }
}

}  // namespace

void need_same_shape(ChatRequest& request, std::string what) {
  if (request.vendor_only.empty()) request.vendor_only = std::move(what);
}

void InputReader::read(const json::value& input, const Path& path) {
  if (const auto* text = input.if_string()) {
    request_.messages.push_back(
        Message{.role = Role::kUser, .parts = {TextPart{.text = std::string(*text)}}});
    return;
  }
  const auto* items = input.if_array();
  if (items == nullptr) {
    check_.wrong_type(path, "a string or an array of input items", input);
    return;
  }
  for (std::size_t i = 0; i < items->size() && check_.ok(); ++i) {
    const Path item_path = path.element(i);
    if (const auto* item = (*items)[i].if_object()) {
      read_item(*item, item_path);
    } else {
      check_.wrong_type(item_path, "an object", (*items)[i]);
    }
  }
}

void InputReader::read_item(const json::object& item, const Path& path) {
  const FieldReader fields(item, path, check_);
  const auto type = fields.string("type").value_or("");
  if (type == "message" || (type.empty() && item.contains("role"))) {
    read_message(item, path);
  } else if (type == "function_call") {
    read_call(item, path);
  } else if (type == "function_call_output") {
    read_call_output(item, path);
  } else if (type == "reasoning") {
    read_reasoning(item);
  } else if (type.empty() && !item.contains("id")) {
    check_.missing(path.field("type"));
  } else {
    keep_opaque(item, path, type.empty() ? "item_reference" : type);
  }
}

// References and hosted tools' items mean something only to the vendor that keeps them.
void InputReader::keep_opaque(const json::object& item, const Path& path, std::string_view type) {
  if (type == "item_reference") {
    need_same_shape(
        request_,
        fmt::format(
            "{}.type 'item_reference' (this gateway keeps no responses; send the item itself, "
            "which SDKs do with store: false)",
            path.brackets()));
  } else {
    need_same_shape(request_, fmt::format("{}.type '{}'", path.brackets(), type));
  }
  assistant().parts.emplace_back(
      OpaquePart{.shape = Shape::kOpenAiResponses, .value = json::value(item)});
}

// The assistant's items of one turn stand apart here and are one message everywhere else.
Message& InputReader::assistant() {
  auto& messages = request_.messages;
  if (messages.empty() || messages.back().role != Role::kAssistant) {
    messages.push_back(Message{.role = Role::kAssistant});
  }
  return messages.back();
}

void InputReader::read_message(const json::object& item, const Path& path) {
  const FieldReader fields(item, path, check_);
  const Role role = role_of(fields.need_one_of("role", kRoles));
  const Path content_path = path.field("content");
  const json::value* content = fields.any("content");
  if (content == nullptr) {
    check_.missing(content_path);
    return;
  }
  if (role == Role::kAssistant) {
    // Two texts in a row are two messages, unless calls hold the turn open for their results.
    const bool again = !request_.messages.empty() &&
                       request_.messages.back().role == Role::kAssistant &&
                       has_text(request_.messages.back()) && !has_calls(request_.messages.back());
    if (again) request_.messages.push_back(Message{.role = Role::kAssistant});
    read_content(*content, content_path, assistant());
    return;
  }
  Message message{.role = role};
  read_content(*content, content_path, message);
  request_.messages.push_back(std::move(message));
}

void InputReader::read_content(const json::value& content, const Path& path, Message& message) {
  if (const auto* text = content.if_string()) {
    message.parts.emplace_back(TextPart{.text = std::string(*text)});
    return;
  }
  const auto* parts = content.if_array();
  if (parts == nullptr) {
    check_.wrong_type(path, "a string or an array of content parts", content);
    return;
  }
  for (std::size_t i = 0; i < parts->size() && check_.ok(); ++i) {
    const Path part_path = path.element(i);
    if (const auto* part = (*parts)[i].if_object()) {
      read_part(*part, part_path, message);
    } else {
      check_.wrong_type(part_path, "an object", (*parts)[i]);
    }
  }
}

void InputReader::read_part(const json::object& part, const Path& path, Message& message) {
  const FieldReader fields(part, path, check_);
  const auto type = fields.need_one_of("type", kPartTypes);
  if (type == "input_text" || type == "output_text") {
    message.parts.emplace_back(TextPart{.text = std::string(fields.need_string("text"))});
  } else if (type == "refusal") {
    message.parts.emplace_back(RefusalPart{.text = std::string(fields.need_string("refusal"))});
  } else if (type == "input_image") {
    ImagePart image;
    read_image(part, path, image);
    message.parts.emplace_back(std::move(image));
  } else if (type == "input_file") {
    FilePart file;
    read_file(part, path, file);
    message.parts.emplace_back(std::move(file));
  } else if (type == "input_audio") {
    const auto* audio = fields.need_object("input_audio");
    if (audio == nullptr) return;
    const Path audio_path = path.field("input_audio");
    const FieldReader inner(*audio, audio_path, check_);
    message.parts.emplace_back(
        AudioPart{.format = std::string(inner.need_one_of("format", kAudioFormats)),
                  .data = std::string(inner.need_string("data"))});
  }
}

void InputReader::read_image(const json::object& part, const Path& path, ImagePart& image) {
  const FieldReader fields(part, path, check_);
  const auto url = fields.string("image_url");
  const auto file_id = fields.string("file_id");
  if (url) {
    image = image_from_url(*url);
  } else if (file_id) {
    need_same_shape(request_, fmt::format("{}.file_id", path.brackets()));
    image.url = fmt::format("{}{}", kFileIdUrl, *file_id);
  } else {
    check_.missing(path.field("image_url"));
  }
  image.detail = fields.one_of("detail", kDetails).value_or("");
}

void InputReader::read_file(const json::object& part, const Path& path, FilePart& file) {
  const FieldReader fields(part, path, check_);
  file.name = fields.string("filename").value_or("");
  file.url = fields.string("file_url").value_or("");
  file.file_id = fields.string("file_id").value_or("");
  const auto data = fields.string("file_data").value_or("");
  if (const auto split = parse_data_url(data)) {
    file.media_type = split->media_type;
    file.data = split->data;
  } else {
    file.data = data;
  }
  if (!file.file_id.empty()) need_same_shape(request_, fmt::format("{}.file_id", path.brackets()));
  if (file.data.empty() && file.url.empty() && file.file_id.empty()) {
    check_.rule(path,
                fmt::format("'{}' needs one of file_data, file_url and file_id.", path.brackets()),
                "missing_required_parameter");
  }
}

void InputReader::read_call(const json::object& item, const Path& path) {
  const FieldReader fields(item, path, check_);
  ToolCallPart call{.id = std::string(fields.need_string("call_id")),
                    .name = std::string(fields.need_string("name")),
                    .arguments = std::string(fields.need_string("arguments"))};
  assistant().parts.emplace_back(std::move(call));
}

void InputReader::read_call_output(const json::object& item, const Path& path) {
  const FieldReader fields(item, path, check_);
  ToolResultPart result{.tool_call_id = std::string(fields.need_string("call_id"))};
  const Path output_path = path.field("output");
  const json::value* output = fields.any("output");
  if (output == nullptr) {
    check_.missing(output_path);
    return;
  }
  Message holder;
  read_content(*output, output_path, holder);
  result.text = holder.text();
  for (std::size_t i = 0; i < holder.parts.size(); ++i) {
    if (auto* image = std::get_if<ImagePart>(&holder.parts[i])) {
      result.images.push_back(std::move(*image));
    } else if (!std::holds_alternative<TextPart>(holder.parts[i])) {
      check_.rule(output_path.element(i),
                  "A function's output is made of input_text and input_image parts.");
    }
  }
  request_.messages.push_back(Message{.role = Role::kTool, .parts = {std::move(result)}});
}

void InputReader::read_reasoning(const json::object& item) {
  ReasoningPart part;
  join_texts(array_at(item, "summary"), part.text);
  join_texts(array_at(item, "content"), part.text);
  const auto encrypted = string_at(item, "encrypted_content");
  if (encrypted.starts_with(kSignaturePrefix)) {
    part.signature = encrypted.substr(kSignaturePrefix.size());
  } else {
    part.encrypted = encrypted;
  }
  assistant().parts.emplace_back(std::move(part));
}

}  // namespace asahi::llm::wire::responses
