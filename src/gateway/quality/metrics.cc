#include "gateway/quality/metrics.h"

namespace asahi::gateway {

QualityMetrics::QualityMetrics(telemetry::Registry& registry)
    : registry_(registry),
      agreement_(registry.histogram("asahi_quality_shadow_agreement",
                                    "How alike answers and those of the baseline model are, 0 to 1",
                                    {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1})) {
  for (std::size_t i = 0; i < flags_.size(); ++i) {
    flags_[i] = &registry.counter("asahi_quality_flags_total", "Answers found wanting",
                                  {{"flag", std::string(to_string(static_cast<AnswerFlag>(i)))}});
  }
}

void QualityMetrics::screened(const AnswerScreening& screening) {
  for (const AnswerFlag flag : screening.flags) flags_[static_cast<std::size_t>(flag)]->add();
}

void QualityMetrics::escalated(const std::string& from, const std::string& to) {
  registry_
      .counter("asahi_quality_escalations_total", "Requests asked again on a better model",
               {{"from", from}, {"to", to}})
      .add();
}

void QualityMetrics::compared(double agreement) { agreement_.observe(agreement); }

}  // namespace asahi::gateway
