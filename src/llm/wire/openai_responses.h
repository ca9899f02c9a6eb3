#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "llm/codec.h"
#include "llm/wire/common.h"

/// The parts of OpenAI's Responses format (POST /v1/responses), both directions.
namespace asahi::llm::wire::responses {

/// Marks a signature of another vendor's thinking that travels in a reasoning item's
/// `encrypted_content`.
inline constexpr std::string_view kSignaturePrefix = "asahi.signature.";

/// Stands in ImagePart::url before the id of a file that the vendor keeps.
inline constexpr std::string_view kFileIdUrl = "file_id:";

/// ---- Client's request → neutral --------------------------------------------------------------
Result<ChatRequest> decode_request(std::shared_ptr<const JsonDocument> body);
/// `input` as messages. A part of the above, on its own because items are many.
class InputReader {
 public:
  InputReader(Check& check, ChatRequest& request) : check_(check), request_(request) {}
  void read(const json::value& input, const Path& path);

 private:
  void read_item(const json::object& item, const Path& path);
  void read_message(const json::object& item, const Path& path);
  void read_content(const json::value& content, const Path& path, Message& message);
  void read_part(const json::object& part, const Path& path, Message& message);
  void read_image(const json::object& part, const Path& path, ImagePart& image);
  void read_file(const json::object& part, const Path& path, FilePart& file);
  void read_call(const json::object& item, const Path& path);
  void read_call_output(const json::object& item, const Path& path);
  void read_reasoning(const json::object& item);
  void keep_opaque(const json::object& item, const Path& path, std::string_view type);
  Message& assistant();

  Check& check_;
  ChatRequest& request_;
};

/// Records that `request` needs a vendor of its own shape; the first reason is kept.
void need_same_shape(ChatRequest& request, std::string what);

/// ---- Neutral → vendor -------------------------------------------------------------------------
Result<WireRequest> encode_request(const ChatRequest& request, std::string_view model);

/// ---- Vendor's answer → neutral ----------------------------------------------------------------
Result<ChatResponse> decode_response(std::string_view body);
std::unique_ptr<StreamDecoder> make_stream_decoder();
/// What a finished response object says at its end. Errors: what a failed one reports.
Result<FinishReason> read_finish(const json::object& response, bool called_tools);
/// The typed form of {"code", "message"} as failed responses and error events carry it.
Error read_error(const json::object& error);

/// ---- Neutral → client
/// ---------------------------------------------------------------------------
std::string encode_response(const ChatRequest& request, const ChatResponse& response,
                            const Extras& extras, std::int64_t created);
std::unique_ptr<StreamEncoder> make_stream_encoder(const ChatRequest& request, std::string id,
                                                   std::string model, std::int64_t created);

/// "completed", "incomplete", "failed"
std::string_view status_of(FinishReason finish);

/// The response object of one call, in whatever state; what does not change is written once.
class ResponseWriter {
 public:
  ResponseWriter(const ChatRequest& request, std::string id, std::string model,
                 std::int64_t created);
  /// An id for output item `index`: "msg_…_0", derived from the response's.
  std::string item_id(std::string_view prefix, std::size_t index) const;
  /// The object with `output` (JSON text of an array) and, where not null, `usage`.
  void write(JsonOut& out, std::string_view status, FinishReason finish, std::string_view output,
             const Usage* usage, std::string_view extras) const;
  const std::string& id() const { return id_; }
  /// Whether the client asked for `reasoning.encrypted_content`.
  bool wants_encrypted() const { return wants_encrypted_; }

 private:
  std::string id_, model_;
  std::int64_t created_;
  std::string settings_;  ///< the members that echo the request, each after a comma
  bool wants_encrypted_ = false;
};

/// The output items of an answer that is there as a whole, as a JSON array.
void write_output(const ResponseWriter& response, JsonOut& out, const std::vector<Part>& parts,
                  FinishReason finish);
void write_text_part(JsonOut& out, std::string_view text);
void write_refusal_part(JsonOut& out, std::string_view text);
void write_reasoning_item(JsonOut& out, std::string_view id, std::string_view text,
                          std::string_view encrypted);
void write_call_item(JsonOut& out, std::string_view id, std::string_view status,
                     std::string_view call_id, std::string_view name, std::string_view arguments);
/// What of a ReasoningPart goes into `encrypted_content`; empty: nothing.
std::string encrypted_of(std::string_view signature, std::string_view encrypted);

}  // namespace asahi::llm::wire::responses
