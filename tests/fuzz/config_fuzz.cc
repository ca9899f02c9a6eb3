// Any bytes as config.yaml, as .env and as the value of a variable: a value, a fault or an error,
// never an exception, and never a secret in what is shown.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/config/loader.h"

namespace {

using namespace asahi;

void bind_and_finish(config::Sources sources) {
  config::Binder binder(std::move(sources));
  bool flag = false;
  int port = 8000;
  double ratio = 0.5;
  std::string text = "x";
  Secret secret;
  std::vector<std::string> list;
  auto a = binder.section("a");
  a.alias("b");
  a.value("flag", flag);
  a.value("port", port, {.min = 1, .max = 65535});
  a.value("ratio", ratio, {.min = 0, .max = 1});
  a.value("text", text, {.min = 1, .max = 20});
  a.value("list", list, {.one_of = {"red", "green"}});
  a.section("deep").value("secret", secret);
  binder.section("free").each([](const std::string&, config::Binder::Section section) {
    std::size_t size = 1;
    section.value("size", size);
  });
  for (const config::Fault& fault : binder.finish()) {
    if (fault.rule.empty()) std::abort();
  }
  if (port < 1 || port > 65535 || ratio < 0 || ratio > 1 || text.empty() || text.size() > 20)
    std::abort();
  for (const auto& entry : binder.effective()) {
    if (entry.path == "a.deep.secret" && !secret.empty() && entry.value != "***") std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(config::parse_yaml(text, "fuzz.yaml"));
  bind_and_finish({.yaml_path = "fuzz.yaml", .yaml_text = text});
  auto dotenv = config::parse_dotenv(text, "fuzz.env");
  if (dotenv) bind_and_finish({.dotenv = *std::move(dotenv)});
  config::Sources sources;
  for (const char* name : {"ASAHI_A_FLAG", "ASAHI_A_PORT", "ASAHI_A_RATIO", "ASAHI_A_TEXT",
                           "ASAHI_A_LIST", "ASAHI_A_DEEP_SECRET"}) {
    sources.environment.emplace(name, text);
  }
  bind_and_finish(std::move(sources));
  return 0;
}
