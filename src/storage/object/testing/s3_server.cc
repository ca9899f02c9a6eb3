#include "storage/object/testing/s3_server.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/json.h"
#include "net/testing/raw_socket.h"

namespace asahi::object_testing {

namespace fs = std::filesystem;

Result<std::unique_ptr<S3Server>> S3Server::start() {
  const fs::path tests = ASAHI_S3_FOLDER;
  const std::string node = ASAHI_NODE;
  if (!fs::exists(node) || !fs::exists(tests / "node_modules/s3rver"))
    return fail(Errc::kNotFound, "needs node and 'npm ci' in tests/s3");
  // s3rver's tokens of lists use a cipher that OpenSSL 3 keeps aside.
  ASAHI_TRY(auto process,
            NodeServer::start({"--openssl-legacy-provider"}, tests / "server.mjs", {"archive"}));
  std::unique_ptr<S3Server> server(new S3Server(std::move(process)));
  return server;
}

Result<std::unique_ptr<S3Server>>& S3Server::shared() {
  static auto server = start();
  return server;
}

object::S3Options S3Server::options(std::string prefix) const {
  object::S3Options options;
  options.bucket = "archive";
  options.prefix = std::move(prefix);
  options.endpoint = endpoint();
  options.credentials = {"S3RVER", Secret("S3RVER"), {}};
  options.retry.base = std::chrono::milliseconds(5);
  options.retry.cap = std::chrono::milliseconds(20);
  options.part_bytes = 5 * 1024 * 1024;
  return options;
}

std::string S3Server::control(const std::string& method, const std::string& body) {
  auto socket = net_testing::RawSocket::connect(port());
  socket.send(
      fmt::format("{} /_control HTTP/1.1\r\nHost: test\r\nConnection: close\r\n"
                  "Content-Length: {}\r\n\r\n{}",
                  method, body.size(), body));
  const std::string answer = socket.receive_all();
  const std::size_t head = answer.find("\r\n\r\n");
  return head == std::string::npos ? "" : answer.substr(head + 4);
}

void S3Server::fault(const std::string& json) {
  static_cast<void>(control("POST", fmt::format(R"({{"fault":{}}})", json)));
}
void S3Server::require_token(const std::string& token) {
  static_cast<void>(control("POST", fmt::format(R"({{"token":"{}"}})", token)));
}
void S3Server::reset() { static_cast<void>(control("POST", R"({"reset":true})")); }

std::vector<std::string> S3Server::requests() {
  const std::string answer = control("GET", "");
  const std::size_t begin = answer.find('['), end = answer.rfind(']');
  std::vector<std::string> lines;
  if (begin == std::string::npos || end == std::string::npos) return lines;
  const auto read = parse_json(answer.substr(begin, end - begin + 1));
  if (!read || !read->is_array()) return lines;
  for (const json::value& line : read->as_array()) lines.emplace_back(line.as_string());
  return lines;
}

}  // namespace asahi::object_testing
