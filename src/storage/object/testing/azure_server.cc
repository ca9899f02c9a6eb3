#include "storage/object/testing/azure_server.h"

#include <chrono>
#include <filesystem>

namespace asahi::object_testing {

namespace fs = std::filesystem;

Result<std::unique_ptr<AzureServer>> AzureServer::start() {
  const fs::path tests = ASAHI_AZURE_FOLDER;
  if (!fs::exists(ASAHI_NODE) || !fs::exists(tests / "node_modules/azurite"))
    return fail(Errc::kNotFound, "needs node and 'npm ci --ignore-scripts' in tests/azure");
  ASAHI_TRY(auto process, NodeServer::start({}, tests / "server.mjs", {"archive"}));
  return std::unique_ptr<AzureServer>(new AzureServer(std::move(process)));
}

Result<std::unique_ptr<AzureServer>>& AzureServer::shared() {
  static auto server = start();
  return server;
}

object::AzureOptions AzureServer::options(std::string prefix) const {
  object::AzureOptions options;
  options.container = "archive";
  options.prefix = std::move(prefix);
  // The emulator's well-known account and key: no secret.
  options.credentials.account = "devstoreaccount1";
  options.credentials.key = Secret(
      "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/"
      "K1SZFPTOtr/KBHBeksoGMGw==");
  options.endpoint =
      "http://127.0.0.1:" + std::to_string(process_->port()) + "/" + options.credentials.account;
  options.retry.base = std::chrono::milliseconds(5);
  options.retry.cap = std::chrono::milliseconds(20);
  options.part_bytes = 5 * 1024 * 1024;
  return options;
}

}  // namespace asahi::object_testing
