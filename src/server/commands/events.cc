#include <fmt/format.h>

#include <fstream>
#include <iostream>

#include "gateway/events/reader.h"
#include "server/commands/commands.h"

namespace asahi::server {
namespace {

struct ExportOptions {
  std::string format = "csv", start, end, org, out;
};

/// A day (2026-11-21) or a time (2026-11-21T10:00:00Z).
Result<Clock::Time> parse_bound(const std::string& option, const std::string& text) {
  auto time = parse_rfc3339(text.size() == 10 ? text + "T00:00:00Z" : text);
  if (!time) {
    return fail_field(option, fmt::format("{} is '{}'; it must be a day such as 2026-11-21 or a "
                                          "time such as 2026-11-21T10:00:00Z",
                                          option, text));
  }
  return time;
}

int export_events(const CommonOptions& common, const ExportOptions& options) {
  const auto refuse = [](const Error& error, int code) {
    fmt::print(stderr, "asahi events export: {}\n", error.message);
    return code;
  };
  const LoadedConfig loaded = load_config(common);
  if (!loaded.faults.empty()) return print_faults(loaded.faults);
  Clock::Time first = Clock::Time::min(), last = Clock::Time::max();
  if (!options.start.empty()) {
    const auto bound = parse_bound("--start", options.start);
    if (!bound) return refuse(bound.error(), kExitUsage);
    first = *bound;
  }
  if (!options.end.empty()) {
    const auto bound = parse_bound("--end", options.end);
    if (!bound) return refuse(bound.error(), kExitUsage);
    last = *bound;
  }
  std::ofstream file;
  if (!options.out.empty()) {
    file.open(options.out, std::ios::trunc);
    if (!file)
      return refuse(fail(Errc::kUnavailable, "cannot write " + options.out).error(), kExitFailure);
  }
  std::ostream& out = options.out.empty() ? std::cout : file;
  const bool csv = options.format == "csv";
  if (csv) out << gateway::csv_header();
  std::size_t written = 0, skipped = 0;
  std::string row;
  const auto read = gateway::each_event(
      loaded.gateway.tracking.log_dir,
      [&](const gateway::InferenceEvent& event) {
        if (event.timestamp < first || event.timestamp >= last) return;
        if (!options.org.empty() && event.org_id != options.org) return;
        row.clear();
        if (csv) {
          gateway::append_csv(row, event);
        } else {
          gateway::append_json(row, event);
          row += '\n';
        }
        out << row;
        ++written;
      },
      [&](const gateway::UnreadableLine& line) {
        ++skipped;
        fmt::print(stderr, "skipped {}:{}: not an event\n", line.file, line.line);
      });
  if (!read) return refuse(read.error(), kExitFailure);
  out.flush();
  if (!out)
    return refuse(fail(Errc::kUnavailable, "the output could not be written whole").error(),
                  kExitFailure);
  fmt::print(stderr, "{} event{} written, {} line{} skipped\n", written, written == 1 ? "" : "s",
             skipped, skipped == 1 ? "" : "s");
  return kExitOk;
}

}  // namespace

void add_events(CLI::App& app, CommonOptions& common, Command& chosen) {
  auto options = std::make_shared<ExportOptions>();
  CLI::App* command = app.add_subcommand("events", "Export the record of every model call");
  command->require_subcommand(1);
  CLI::App* exported = command->add_subcommand(
      "export", "Write events as CSV (RFC 4180) or JSON lines; a server may be running");
  add_common(*exported, common);
  exported->add_option("--format", options->format, "csv or jsonl")
      ->capture_default_str()
      ->check(CLI::IsMember({"csv", "jsonl"}));
  exported->add_option("--start", options->start, "First day or time, UTC");
  exported->add_option("--end", options->end, "Day or time behind the last, UTC");
  exported->add_option("--org", options->org, "Only this organisation");
  exported->add_option("--out", options->out, "File to write (default: standard output)");
  exported->footer(
      "Example: asahi events export --start 2026-11-01 --end 2026-12-01 --out november.csv");
  exported->callback([&common, &chosen, options] {
    chosen = [&common, options] { return export_events(common, *options); };
  });
}

}  // namespace asahi::server
