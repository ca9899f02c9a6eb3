#include "storage/object/testing/node_server.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace asahi::object_testing {

namespace fs = std::filesystem;

Result<std::unique_ptr<NodeServer>> NodeServer::start(std::vector<std::string> options,
                                                      const std::string& script,
                                                      std::vector<std::string> more) {
  const std::string node = ASAHI_NODE;
  std::unique_ptr<NodeServer> server(new NodeServer);
  server->folder_ = (fs::temp_directory_path() / "asahi-node-XXXXXX").string();
  if (::mkdtemp(server->folder_.data()) == nullptr)
    return fail(Errc::kInternal, "no temporary folder can be made");

  int input[2], output[2];
  if (::pipe2(input, O_CLOEXEC) != 0 || ::pipe2(output, O_CLOEXEC) != 0)
    return fail(Errc::kInternal, "no pipes");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
  std::vector<std::string> words = {node};
  words.insert(words.end(), options.begin(), options.end());
  words.push_back(script);
  words.push_back(server->folder_);
  words.insert(words.end(), more.begin(), more.end());
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
  if (!said.starts_with("ready ")) return fail(Errc::kInternal, script + " ended: " + said);
  server->port_ = static_cast<std::uint16_t>(std::atoi(said.c_str() + 6));
  return server;
}

NodeServer::~NodeServer() {
  if (input_ >= 0) ::close(input_);
  if (process_ > 0) {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

}  // namespace asahi::object_testing
