#include "server/exporters.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/hash.h"
#include "net/blocking.h"
#include "telemetry/export/influx_lines.h"
#include "telemetry/export/remote_write.h"

namespace asahi::server {
namespace {

using std::chrono::milliseconds;

milliseconds ms_of_seconds(double seconds) {
  return milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

std::string encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

/// Seconds of a Retry-After; empty: there is none, or it is a date.
std::optional<std::chrono::seconds> retry_after(const http::Headers& headers) {
  constexpr int kMost = 300;
  const std::string_view text = headers.get("retry-after");
  int seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc{}) return std::nullopt;
  return std::chrono::seconds(std::clamp(seconds, 0, kMost));
}

}  // namespace

Result<std::unique_ptr<MetricExporters>> MetricExporters::make(Parts parts) {
  if (!parts.config.influx() && !parts.config.remote_write()) return nullptr;
  std::unique_ptr<MetricExporters> made(new MetricExporters(std::move(parts)));
  if (auto added = made->add_influx(); !added) return std::unexpected(std::move(added.error()));
  if (auto added = made->add_remote_write(); !added)
    return std::unexpected(std::move(added.error()));
  return made;
}

Result<void> MetricExporters::add_influx() {
  const gateway::ExportConfig& config = parts_.config;
  if (!config.influx()) return {};
  auto receiver = std::make_unique<Receiver>();
  receiver->name = "influx";
  ASAHI_TRY(receiver->url, http::Url::parse(config.influx_url));
  std::string base = receiver->url.target;
  while (base.ends_with('/')) base.pop_back();
  const std::string& token = config.influx_token.reveal();
  if (config.influx_bucket.empty()) {
    receiver->url.target =
        fmt::format("{}/write?db={}&precision=ms", base, encoded(config.influx_database));
    if (!token.empty()) receiver->headers.set("Authorization", "Basic " + base64_encode(token));
  } else {
    receiver->url.target = fmt::format("{}/api/v2/write?org={}&bucket={}&precision=ms", base,
                                       encoded(config.influx_org), encoded(config.influx_bucket));
    if (!token.empty()) receiver->headers.set("Authorization", "Token " + token);
  }
  receiver->headers.set("Content-Type", "text/plain; charset=utf-8");
  receiver->write = [more = telemetry::Labels{{"instance", parts_.node}, {"job", parts_.app}}](
                        const std::vector<telemetry::FamilySnapshot>& families,
                        Clock::Time now) -> Result<std::vector<std::string>> {
    return telemetry::influx_lines(families, more, now);
  };
  receivers_.push_back(std::move(receiver));
  return {};
}

Result<void> MetricExporters::add_remote_write() {
  const gateway::ExportConfig& config = parts_.config;
  if (!config.remote_write()) return {};
  if (auto loaded = telemetry::load_snappy(); !loaded) return loaded;
  auto receiver = std::make_unique<Receiver>();
  receiver->name = "remote_write";
  ASAHI_TRY(receiver->url, http::Url::parse(config.remote_write_url));
  const std::string& token = config.remote_write_token.reveal();
  if (!config.remote_write_user.empty()) {
    receiver->headers.set("Authorization",
                          "Basic " + base64_encode(config.remote_write_user + ":" + token));
  } else if (!token.empty()) {
    receiver->headers.set("Authorization", "Bearer " + token);
  }
  receiver->headers.set("Content-Type", "application/x-protobuf");
  receiver->headers.set("Content-Encoding", "snappy");
  receiver->headers.set("X-Prometheus-Remote-Write-Version", "0.1.0");
  receiver->write = [more = telemetry::Labels{{"instance", parts_.node}, {"job", parts_.app}}](
                        const std::vector<telemetry::FamilySnapshot>& families,
                        Clock::Time now) -> Result<std::vector<std::string>> {
    std::vector<std::string> bodies = telemetry::remote_write_requests(families, more, now);
    for (std::string& body : bodies) {
      ASAHI_TRY(std::string packed, telemetry::snappy_block(body));
      body = std::move(packed);
    }
    return bodies;
  };
  receivers_.push_back(std::move(receiver));
  return {};
}

void MetricExporters::start() {
  for (const auto& receiver : receivers_) {
    receiver->headers.set("User-Agent", "asahi");
    background_.run("metrics to " + receiver->name,
                    [this, raw = receiver.get()](net::Background::Sleep sleep) {
                      return run(*raw, std::move(sleep));
                    });
  }
}

void MetricExporters::stop() {
  background_.stop(std::chrono::seconds(1) + ms_of_seconds(parts_.config.export_timeout_seconds));
}

Aw<void> MetricExporters::run(Receiver& receiver, net::Background::Sleep sleep) {
  const auto pause = ms_of_seconds(parts_.config.collection_interval_seconds);
  while (co_await sleep(pause)) co_await send_snapshot(receiver, &background_.cancel_source());
  // What happened since the last one.
  if (!receiver.away) co_await send_snapshot(receiver, nullptr);
}

Aw<void> MetricExporters::send_snapshot(Receiver& receiver, CancelSource* cancel) {
  auto bodies =
      co_await net::run_blocking(writer_, [this, &receiver]() -> Result<std::vector<std::string>> {
        parts_.refresh();
        return receiver.write(parts_.metrics.collect(), parts_.clock.now());
      });
  if (!bodies) {
    logger_.error("metrics cannot be written",
                  {{"exporter", receiver.name}, {"error", bodies.error().message}});
    co_return;
  }
  keep(receiver, *std::move(bodies));
  if (parts_.clock.steady_now() >= receiver.not_before) co_await deliver(receiver, cancel);
}

void MetricExporters::keep(Receiver& receiver, std::vector<std::string> bodies) {
  for (std::string& body : bodies) {
    receiver.waiting_bytes += body.size();
    receiver.waiting.push_back(std::move(body));
  }
  const std::size_t most = parts_.config.export_buffer_kilobytes * 1'024;
  while (receiver.waiting_bytes > most) drop(receiver, "buffer_full");
}

void MetricExporters::drop(Receiver& receiver, std::string reason) {
  receiver.waiting_bytes -= receiver.waiting.front().size();
  receiver.waiting.pop_front();
  parts_.metrics
      .counter("asahi_metric_exports_dropped_total", "Requests with metrics that were given up",
               {{"exporter", receiver.name}, {"reason", std::move(reason)}})
      .add();
}

void MetricExporters::count(const Receiver& receiver, std::string outcome) {
  parts_.metrics
      .counter("asahi_metric_exports_total", "Requests with metrics by what became of them",
               {{"exporter", receiver.name}, {"outcome", std::move(outcome)}})
      .add();
}

Aw<void> MetricExporters::deliver(Receiver& receiver, CancelSource* cancel) {
  const auto limit = ms_of_seconds(parts_.config.export_timeout_seconds);
  while (!receiver.waiting.empty()) {
    http::ClientRequest request{.method = http::Method::kPost,
                                .origin = receiver.url.origin,
                                .target = receiver.url.target,
                                .headers = receiver.headers,
                                .body = receiver.waiting.front()};
    const http::CallOptions options{.deadline = std::chrono::steady_clock::now() + limit,
                                    .idle_timeout = limit,
                                    .cancel = cancel};
    auto reply = co_await parts_.clients.local().send(std::move(request), options);
    const int status = reply ? reply->status : 0;
    if (status / 100 == 2) {
      count(receiver, "delivered");
      receiver.waiting_bytes -= receiver.waiting.front().size();
      receiver.waiting.pop_front();
      if (std::exchange(receiver.away, false))
        logger_.info("metrics are taken again", {{"exporter", receiver.name}});
      continue;
    }
    const std::string why =
        reply ? fmt::format("the receiver answered {}", status) : reply.error().message;
    count(receiver, "failed");
    const bool later = !reply || status == 429 || status == 408 || status >= 500;
    if (!std::exchange(receiver.away, true)) {
      logger_.warning(later ? "metrics are not taken; they wait" : "metrics are refused",
                      {{"exporter", receiver.name}, {"error", why}});
    }
    if (!later) {
      // Sent again it would be refused again.
      drop(receiver, "refused");
      continue;
    }
    if (reply) {
      if (const auto wait = retry_after(reply->headers))
        receiver.not_before = parts_.clock.steady_now() + *wait;
    }
    co_return;
  }
}

}  // namespace asahi::server
