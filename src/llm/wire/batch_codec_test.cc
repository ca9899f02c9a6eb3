#include <gtest/gtest.h>

#include "llm/batch_codec.h"
#include "llm/wire/wire.h"

namespace asahi::llm {
namespace {

using State = VendorBatchStatus::State;

const std::vector<VendorRow> kRows{{.id = "vb_1-1", .body = R"({"model":"m","n":1.50})"},
                                   {.id = "vb_1-2", .body = R"({"model":"m"})"}};

TEST(OpenAiBatch, UploadsARowPerLineAndNamesTheBatch) {
  const auto codec = make_openai_batch_codec();
  const auto upload = codec->upload("vb_1", kRows);
  ASSERT_TRUE(upload);
  EXPECT_EQ(upload->target, "/v1/files");
  EXPECT_TRUE(upload->headers.get("content-type").starts_with("multipart/form-data; boundary="));
  EXPECT_NE(upload->body.find(
                R"({"custom_id":"vb_1-1","method":"POST","url":"/v1/chat/completions","body":)"
                R"({"model":"m","n":1.50}})"
                "\n"),
            std::string::npos);
  EXPECT_EQ(codec->uploaded(R"({"id":"file-1"})"), "file-1");
  EXPECT_FALSE(codec->uploaded("{}"));
  const WireRequest create = codec->create("vb_1", kRows, "file-1");
  EXPECT_EQ(create.target, "/v1/batches");
  EXPECT_EQ(create.body, R"({"input_file_id":"file-1","endpoint":"/v1/chat/completions",)"
                         R"("completion_window":"24h","metadata":{"asahi_job":"vb_1"}})");
}

TEST(OpenAiBatch, FindsABatchByItsName) {
  const auto codec = make_openai_batch_codec();
  ASSERT_TRUE(codec->list());
  const std::string list =
      R"({"data":[{"id":"a","metadata":null},{"id":"b","metadata":{"asahi_job":"vb_1"}}]})";
  EXPECT_EQ(codec->find("vb_1", list), "b");
  EXPECT_EQ(codec->find("vb_2", list), std::nullopt);
  EXPECT_EQ(codec->find("vb_1", "nonsense"), std::nullopt);
}

TEST(OpenAiBatch, ReadsHowFarItIs) {
  const auto codec = make_openai_batch_codec();
  for (const char* word : {"validating", "in_progress", "finalizing", "cancelling"})
    EXPECT_EQ(codec->status(std::string(R"({"id":"b","status":")") + word + "\"}")->state,
              State::kRunning);
  const auto ended =
      codec->status(R"({"id":"b","status":"expired","output_file_id":"f/1","error_file_id":"f2"})");
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->state, State::kEnded);
  EXPECT_EQ(ended->results,
            (std::vector<std::string>{"/v1/files/f%2F1/content", "/v1/files/f2/content"}));
  const auto failed =
      codec->status(R"({"id":"b","status":"failed","errors":{"data":[{"message":"no quota"}]}})");
  EXPECT_EQ(failed->state, State::kFailed);
  EXPECT_EQ(failed->message, "no quota");
  for (const char* text : {"", "[]", "{}", R"({"status":"completed"})"})
    EXPECT_EQ(codec->status(text).error().code, Errc::kUpstream);
}

TEST(OpenAiBatch, ReadsAnswersErrorsAndWhatExpired) {
  const auto codec = make_openai_batch_codec();
  const auto chat = make_openai_chat_codec();
  const auto good = codec->answer(
      R"({"custom_id":"vb_1-1","response":{"status_code":200,"body":{"id":"c","object":)"
      R"("chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant",)"
      R"("content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,)"
      R"("completion_tokens":1,"total_tokens":4}}},"error":null})",
      *chat);
  ASSERT_TRUE(good);
  EXPECT_EQ(good->id, "vb_1-1");
  ASSERT_TRUE(good->answer) << good->answer.error().message;
  EXPECT_EQ(good->answer->text(), "hi");
  EXPECT_EQ(good->answer->usage.input, 3);
  const auto refused = codec->answer(
      R"({"custom_id":"x","response":{"status_code":400,"body":{"error":{"message":"bad"}}}})",
      *chat);
  EXPECT_EQ(refused->answer.error().code, Errc::kInvalidArgument);
  const auto expired = codec->answer(
      R"({"custom_id":"x","response":null,"error":{"code":"batch_expired","message":"m"}})", *chat);
  EXPECT_EQ(expired->answer.error().reason, "vendor_batch_expired");
  EXPECT_FALSE(codec->answer(R"({"custom_id":"x","response":null})", *chat)->answer);
  EXPECT_FALSE(codec->answer(R"({"custom_id":"x","response":{}})", *chat)->answer);
  for (const char* text : {"", "3", "{}", R"({"custom_id":7})"})
    EXPECT_FALSE(codec->answer(text, *chat)) << text;
}

TEST(AnthropicBatch, SendsTheRowsInTheBody) {
  const auto codec = make_anthropic_batch_codec();
  EXPECT_FALSE(codec->upload("vb_1", kRows));
  EXPECT_FALSE(codec->list());
  const WireRequest create = codec->create("vb_1", kRows, "");
  EXPECT_EQ(create.target, "/v1/messages/batches");
  EXPECT_EQ(create.headers.get("anthropic-version"), "2023-06-01");
  EXPECT_EQ(create.body, R"({"requests":[{"custom_id":"vb_1-1","params":{"model":"m","n":1.50}},)"
                         R"({"custom_id":"vb_1-2","params":{"model":"m"}}]})");
}

TEST(AnthropicBatch, ReadsHowFarItIsAndNeverLeavesItsOrigin) {
  const auto codec = make_anthropic_batch_codec();
  EXPECT_EQ(codec->status(R"({"id":"m","processing_status":"canceling"})")->state, State::kRunning);
  const auto ended = codec->status(
      R"({"id":"m","processing_status":"ended","results_url":"https://elsewhere.example/x"})");
  EXPECT_EQ(ended->state, State::kEnded);
  EXPECT_EQ(ended->results, std::vector<std::string>{"/v1/messages/batches/m/results"});
  EXPECT_FALSE(codec->status("{}"));
}

TEST(AnthropicBatch, ReadsAnswersErrorsAndWhatExpired) {
  const auto codec = make_anthropic_batch_codec();
  const auto chat = make_anthropic_codec();
  const auto good = codec->answer(
      R"({"custom_id":"a","result":{"type":"succeeded","message":{"id":"m","type":"message",)"
      R"("role":"assistant","model":"c","content":[{"type":"text","text":"hi"}],)"
      R"("stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":1}}}})",
      *chat);
  ASSERT_TRUE(good && good->answer);
  EXPECT_EQ(good->answer->text(), "hi");
  const auto errored = codec->answer(
      R"({"custom_id":"a","result":{"type":"errored","error":{"type":"error","error":)"
      R"({"type":"invalid_request_error","message":"bad"}}}})",
      *chat);
  EXPECT_EQ(errored->answer.error().code, Errc::kInvalidArgument);
  for (const char* type : {"expired", "canceled", "succeeded", ""}) {
    const auto gone =
        codec->answer(std::string(R"({"custom_id":"a","result":{"type":")") + type + "\"}}", *chat);
    ASSERT_TRUE(gone);
    EXPECT_EQ(gone->answer.error().reason, "vendor_batch_expired") << type;
  }
  for (const char* text : {"", "{}", R"({"custom_id":"a"})"})
    EXPECT_FALSE(codec->answer(text, *chat)) << text;
}

}  // namespace
}  // namespace asahi::llm
