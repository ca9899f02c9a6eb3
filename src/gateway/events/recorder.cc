#include "gateway/events/recorder.h"

#include "base/scheduling.h"

namespace asahi::gateway {
namespace {

constexpr std::size_t kConsiderateBatch = 640;  ///< some 60,000 events a second at a wait of 10 ms
constexpr std::chrono::milliseconds kConsiderateTime{5};

}  // namespace

Result<std::unique_ptr<EventRecorder>> EventRecorder::start(Options options, const Clock& clock,
                                                            std::vector<Observer> observers) {
  ASAHI_TRY(EventLog log, EventLog::open(options.dir, clock));
  return std::unique_ptr<EventRecorder>(
      new EventRecorder(std::move(options), std::move(log), std::move(observers)));
}

EventRecorder::EventRecorder(Options options, EventLog log, std::vector<Observer> observers)
    : options_(std::move(options)),
      log_(std::move(log)),
      observers_(std::move(observers)),
      thread_([this] { run(); }) {}

EventRecorder::~EventRecorder() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void EventRecorder::record(InferenceEvent event) {
  bool first = false;
  {
    const std::scoped_lock lock(mutex_);
    if (queue_.size() >= options_.max_queued) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    first = queue_.empty();
    queue_.push_back(std::move(event));
    ++queued_total_;
  }
  recorded_.fetch_add(1, std::memory_order_relaxed);
  if (first) wake_.notify_one();
}

bool EventRecorder::flush(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  const std::uint64_t target = queued_total_;
  return written_.wait_for(lock, limit, [&] { return written_total_ >= target; });
}

void EventRecorder::run() {
  work_in_background(1);  // soon, for the queue is bounded
  std::vector<InferenceEvent> batch;
  std::string lines;
  auto last_sync = std::chrono::steady_clock::now();
  bool unsynced = false;
  for (;;) {
    bool stopping;
    {
      std::unique_lock lock(mutex_);
      const auto ready = [&] { return stop_ || !queue_.empty(); };
      if (unsynced) {
        wake_.wait_until(lock, last_sync + options_.sync_interval, ready);
      } else {
        wake_.wait(lock, ready);
      }
      stopping = stop_;
    }
    // Gathering a little makes one write of many events; nobody waits for it but flush().
    if (!stopping) std::this_thread::sleep_for(options_.batch_wait);
    {
      const std::scoped_lock lock(mutex_);
      batch.swap(queue_);
      stopping = stop_;
    }
    if (!batch.empty()) {
      // An event loop may wait for this core: it gets it after one event, not after the whole
      // batch. Where others want the core as well, or it is never free, that would keep the events
      // waiting instead: no more of it then.
      const auto patience = batch.size() <= kConsiderateBatch
                                ? std::chrono::steady_clock::now() + kConsiderateTime
                                : std::chrono::steady_clock::time_point::min();
      const auto step_back = [patience] {
        if (std::chrono::steady_clock::now() < patience) std::this_thread::yield();
      };
      lines.clear();
      for (const InferenceEvent& event : batch) {
        append_json(lines, event);
        lines += '\n';
        step_back();
      }
      auto appended = log_.append(lines);
      while (!appended) {
        // Disk full or gone: requests go on; the events wait here and further ones in the bounded
        // queue.
        if (healthy_.exchange(false))
          logger_.error("events cannot be written; they are kept in memory",
                        {{"error", appended.error().message}});
        {
          std::unique_lock lock(mutex_);
          if (wake_.wait_for(lock, std::chrono::seconds(1), [&] { return stop_; })) {
            dropped_.fetch_add(batch.size(), std::memory_order_relaxed);
            logger_.critical("events were lost at shutdown: the log cannot be written",
                             {{"events", batch.size()}});
            return;
          }
        }
        // A part may have been written: the lines then stand twice, and the loader keeps one row
        // per event id.
        appended = log_.append(lines);
      }
      if (!healthy_.exchange(true)) logger_.info("events are written again");
      unsynced = true;
      for (const InferenceEvent& event : batch) {
        for (const Observer& observer : observers_) observer(event);
        step_back();
      }
      // Before anybody hears that the batch is through: who waited for that may end what the
      // callback needs.
      if (on_written_) on_written_();
      {
        const std::scoped_lock lock(mutex_);
        written_total_ += batch.size();
      }
      written_.notify_all();
      batch.clear();
      if (lines.capacity() > 1 << 20) lines = {};
      if (batch.capacity() > 8192) batch = {};
    }
    const auto now = std::chrono::steady_clock::now();
    if (unsynced && (stopping || now - last_sync >= options_.sync_interval)) {
      if (auto synced = log_.sync(); !synced)
        logger_.warning("event log sync failed", {{"error", synced.error().message}});
      last_sync = now;
      unsynced = false;
    }
    if (stopping) {
      const std::scoped_lock lock(mutex_);
      if (queue_.empty()) return;
    }
  }
}

}  // namespace asahi::gateway
