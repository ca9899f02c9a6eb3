// Kafka brokers as a program, for end-to-end tests. Prints {"bootstrap": "host:port"} and obeys
// lines on its input: "stop", "start", "refuse N", and "read TOPIC N MILLISECONDS", which answers
// {"messages": [{"key", "value"}…]}. Ends with its input.
#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>

#include "base/json.h"
#include "storage/stream/testing/mock_brokers.h"

namespace {

void say(const asahi::json::object& answer) {
  fmt::print("{}\n", asahi::write_json(answer));
  std::fflush(stdout);
}

}  // namespace

int main() {
  asahi::stream::testing::MockBrokers brokers;
  say({{"bootstrap", brokers.bootstrap_servers()}});
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string verb, topic;
    std::size_t count = 0;
    long milliseconds = 0;
    words >> verb;
    if (verb == "stop") {
      brokers.stop();
      say({{"stopped", true}});
    } else if (verb == "start") {
      brokers.start();
      say({{"started", true}});
    } else if (verb == "refuse" && words >> count) {
      brokers.refuse_next(static_cast<int>(count));
      say({{"refusing", count}});
    } else if (verb == "read" && words >> topic >> count >> milliseconds) {
      asahi::json::array messages;
      for (const auto& message :
           brokers.read(topic, count, std::chrono::milliseconds(milliseconds))) {
        messages.push_back(asahi::json::object{{"key", message.key}, {"value", message.value}});
      }
      say({{"messages", std::move(messages)}});
    } else {
      say({{"error", "use: stop, start, refuse N, read TOPIC N MILLISECONDS"}});
    }
  }
}
