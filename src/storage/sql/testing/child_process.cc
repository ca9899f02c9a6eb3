#include "storage/sql/testing/child_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace asahi::sql::testing {
namespace {

namespace fs = std::filesystem;

/// The account to become; null when the test does not run as root.
const passwd* other_account() {
  if (geteuid() != 0) return nullptr;
  const passwd* account = getpwnam("postgres");
  return account != nullptr ? account : getpwnam("nobody");
}

}  // namespace

uid_t server_account() {
  const passwd* account = other_account();
  return account == nullptr ? geteuid() : account->pw_uid;
}

int free_port() {
  const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  int port = 0;
  if (bind(descriptor, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
      getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    port = ntohs(address.sin_port);
  }
  close(descriptor);
  return port;
}

pid_t spawn(const std::vector<std::string>& command, const std::string& log, Account as) {
  // Everything that allocates happens before fork: the child of a process with threads must not.
  std::vector<char*> arguments;
  for (const auto& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const passwd* account = as == Account::kServer ? other_account() : nullptr;
  const uid_t user = account == nullptr ? 0 : account->pw_uid;
  const gid_t group = account == nullptr ? 0 : account->pw_gid;
  char language[] = "LC_ALL=C";
  char path[] = "PATH=/usr/bin:/bin";
  char* environment[] = {language, path, nullptr};
  const pid_t parent = getpid();
  const int output = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const pid_t child = fork();
  if (child == 0) {
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    if (account != nullptr &&
        (setgroups(0, nullptr) != 0 || setgid(group) != 0 || setuid(user) != 0)) {
      _exit(126);
    }
    // After setuid, which clears it. SIGQUIT is the server's immediate shutdown, children included.
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (getppid() != parent) _exit(125);
    execve(arguments[0], arguments.data(), environment);
    _exit(127);
  }
  close(output);
  return std::max(child, 0);
}

std::string tail_of(const std::string& file) {
  std::ifstream in(file);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  return text.size() > 2'000 ? text.substr(text.size() - 2'000) : text;
}

Result<void> run_to_end(const std::vector<std::string>& command, const std::string& log) {
  const pid_t child = spawn(command, log);
  int status = -1;
  if (child == 0 || waitpid(child, &status, 0) != child || status != 0) {
    return fail(Errc::kInternal, command[0] + " failed: " + tail_of(log));
  }
  return {};
}

Result<std::string> make_folder(const std::string& prefix) {
  std::string name = (fs::temp_directory_path() / (prefix + "XXXXXX")).string();
  if (mkdtemp(name.data()) == nullptr)
    return fail(Errc::kInternal, "no temporary folder can be made");
  const passwd* account = other_account();
  if (account != nullptr && chown(name.c_str(), account->pw_uid, account->pw_gid) != 0) {
    return fail(Errc::kInternal, name + " cannot be given to the account " + account->pw_name);
  }
  return name;
}

}  // namespace asahi::sql::testing
