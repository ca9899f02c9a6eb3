#include <fmt/format.h>

#include <fstream>
#include <iostream>

#include "gateway/archive/event_archive.h"
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

struct RestoreOptions {
  std::string first, last, out;
};

int restore(const CommonOptions& common, const RestoreOptions& options) {
  const auto refuse = [](const Error& error, int code) {
    fmt::print(stderr, "asahi events restore: {}\n", error.message);
    return code;
  };
  const LoadedConfig loaded = load_config(common);
  if (!loaded.faults.empty()) return print_faults(loaded.faults);
  for (const auto& [name, day] : {std::pair{"--first", options.first}, {"--last", options.last}}) {
    constexpr std::size_t kDay = 10;
    if (const auto bound = parse_bound(name, day); !bound || day.size() != kDay) {
      return refuse(
          fail_field(name, fmt::format("{} must be a day such as 2026-11-21", name)).error(),
          kExitUsage);
    }
  }
  const gateway::ArchiveConfig& archive = loaded.gateway.tracking.archive;
  if (archive.url.empty()) {
    return refuse(fail(Errc::kInvalidArgument,
                       "there is no archive: set tracking.archive_url (ASAHI_TRACKING_ARCHIVE_URL)")
                      .error(),
                  kExitUsage);
  }
  const auto store = gateway::open_archive(archive);
  if (!store) return refuse(store.error(), kExitFailure);
  const auto files = gateway::restore_events(**store, options.first, options.last, options.out);
  if (!files) return refuse(files.error(), kExitFailure);
  fmt::print(stderr, "{} file{} written below {}\n", *files, *files == 1 ? "" : "s", options.out);
  return kExitOk;
}

}  // namespace

void add_events(CLI::App& app, CommonOptions& common, Command& chosen) {
  auto options = std::make_shared<ExportOptions>();
  CLI::App* command = app.add_subcommand(
      "events", "The record of every model call: export, restore from the archive");
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

  auto back = std::make_shared<RestoreOptions>();
  CLI::App* restored =
      command->add_subcommand("restore", "Fetch days of events from the archive into a folder");
  add_common(*restored, common);
  restored->add_option("--first", back->first, "First day")->required();
  restored->add_option("--last", back->last, "Last day")->required();
  restored->add_option("--out", back->out, "Folder; each node gets one below it")->required();
  restored->footer(
      "Example: asahi events restore --first 2026-01-01 --last 2026-01-31 --out january");
  restored->callback(
      [&common, &chosen, back] { chosen = [&common, back] { return restore(common, *back); }; });
}

}  // namespace asahi::server
