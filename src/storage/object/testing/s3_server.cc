#include "storage/object/testing/s3_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
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
  std::unique_ptr<S3Server> server(new S3Server);
  server->folder_ = (fs::temp_directory_path() / "asahi-s3-XXXXXX").string();
  if (::mkdtemp(server->folder_.data()) == nullptr)
    return fail(Errc::kInternal, "no temporary folder can be made");

  int input[2], output[2];
  if (::pipe2(input, O_CLOEXEC) != 0 || ::pipe2(output, O_CLOEXEC) != 0)
    return fail(Errc::kInternal, "no pipes");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
  const std::string script = tests / "server.mjs";
  // s3rver's tokens of lists use a cipher that OpenSSL 3 keeps aside.
  std::vector<std::string> words = {node, "--openssl-legacy-provider", script, server->folder_,
                                    "archive"};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  char path[] = "PATH=/usr/bin:/bin";
  char* environment[] = {path, nullptr};
  const int failed = ::posix_spawn(&server->process_, node.c_str(), &actions, nullptr,
                                   arguments.data(), environment);
  posix_spawn_file_actions_destroy(&actions);
  ::close(input[0]);
  ::close(output[1]);
  server->input_ = input[1];
  if (failed != 0) {
    server->process_ = 0;
    ::close(output[0]);
    return fail(Errc::kInternal, "node does not start");
  }
  std::string said;
  char bytes[256];
  while (!said.contains('\n')) {
    const ssize_t got = ::read(output[0], bytes, sizeof bytes);
    if (got <= 0) break;
    said.append(bytes, static_cast<std::size_t>(got));
  }
  ::close(output[0]);
  if (!said.starts_with("ready ")) return fail(Errc::kInternal, "the S3 server ended: " + said);
  server->port_ = static_cast<std::uint16_t>(std::atoi(said.c_str() + 6));
  return server;
}

Result<std::unique_ptr<S3Server>>& S3Server::shared() {
  static auto server = start();
  return server;
}

S3Server::~S3Server() {
  if (input_ >= 0) ::close(input_);
  if (process_ > 0) {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
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
  auto socket = net_testing::RawSocket::connect(port_);
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
