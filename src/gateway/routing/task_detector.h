#pragma once

#include <string>
#include <string_view>

namespace asahi::gateway {

/// What kind of task a prompt is.
struct TaskDetection {
  std::string task_type = "general";
  double confidence = 0;  ///< 0 to 0.95; 1 for a hint of the caller
  std::string intent;  ///< the prompt's first sentence, white space squeezed, at most 80 characters
};

/// Counts trigger words per task type (gateway spec §3.4): whole words, any case, phrases over any
/// white space. Most matches win, ties go to the earlier row of the table. Confidence = min(0.95,
/// 0.3 + 0.2·(matches − 1)), × 0.9 when several types matched; no match: general at 0.1; blank:
/// general at 0. One pass over the text.
TaskDetection detect_task(std::string_view prompt);

/// The caller named the task: no detection, confidence 1.
TaskDetection hinted_task(std::string_view task_type, std::string_view prompt);

}  // namespace asahi::gateway
