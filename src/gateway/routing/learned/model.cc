#include "gateway/routing/learned/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/hash.h"

namespace asahi::gateway::learned {
namespace {

constexpr std::string_view kFormat = "asahi-router";
constexpr std::int64_t kVersion = 2;
constexpr std::uintmax_t kMostBytes = 16U << 20;
constexpr float kFormScale = 0.2F;  // forms and word vectors of about the same length
constexpr std::size_t kGroups = Features::kGroups;

static_assert(std::endian::native == std::endian::little, "weights are stored little-endian");

std::string packed(const std::vector<float>& values) {
  return base64_encode(
      {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
}

std::unexpected<Error> corrupt(std::string_view what) {
  return fail(
      Errc::kCorrupt,
      fmt::format("this is no trained router: {}; train one with asahi train-router", what));
}

/// Reads members of the file; the first fault is kept.
class Reader {
 public:
  explicit Reader(const json::object& object) : object_(object) {}

  void text(std::string_view name, std::string& out) {
    const json::value* value = find(name);
    if (value != nullptr && value->is_string()) {
      out = std::string(value->get_string());
    } else {
      fault_at(name);
    }
  }
  void number(std::string_view name, double& out) {
    const json::value* value = find(name);
    if (value != nullptr && value->is_number() && std::isfinite(value->to_number<double>())) {
      out = value->to_number<double>();
    } else {
      fault_at(name);
    }
  }
  void floats(std::string_view name, std::vector<float>& out, std::size_t size) {
    std::string word;
    text(name, word);
    const auto bytes = base64_decode(word);
    if (!bytes || bytes->size() != size * sizeof(float)) {
      fault_at(name);
      return;
    }
    out.resize(size);
    std::memcpy(out.data(), bytes->data(), bytes->size());
    if (!std::ranges::all_of(out, [](float value) { return std::isfinite(value); })) fault_at(name);
  }
  template <std::size_t N>
  void floats(std::string_view name, std::array<float, N>& out) {
    std::vector<float> values;
    floats(name, values, N);
    if (values.size() == N) std::ranges::copy(values, out.begin());
  }
  const json::value* find(std::string_view name) const { return object_.if_contains(name); }
  void fault_at(std::string_view name) {
    if (fault_.empty()) fault_ = fmt::format("'{}' is missing or broken", name);
  }
  const std::string& fault() const { return fault_; }

 private:
  const json::object& object_;
  std::string fault_;
};

template <std::size_t N>
std::string packed(const std::array<float, N>& values) {
  return packed(std::vector<float>(values.begin(), values.end()));
}

json::object head_json(const Head& head) {
  return {{"bias", head.bias}, {"form", packed(head.form)}, {"words", packed(head.words)}};
}

void read_head(Reader& reader, std::string_view name, Head& head) {
  const json::value* value = reader.find(name);
  if (value == nullptr || !value->is_object()) {
    reader.fault_at(name);
    return;
  }
  Reader nested(value->get_object());
  double bias = 0;
  nested.number("bias", bias);
  head.bias = static_cast<float>(bias);
  nested.floats("form", head.form);
  nested.floats("words", head.words, Features::kBuckets);
  if (!nested.fault().empty()) reader.fault_at(name);
}

json::array trees_json(const Trees& trees) {
  json::array all;
  for (const Tree& tree : trees.trees) {
    json::array nodes;
    for (const Tree::Node& node : tree.nodes)
      nodes.push_back(json::array{node.input, node.threshold, node.value});
    all.push_back(std::move(nodes));
  }
  return all;
}

bool read_node(const json::value& value, std::size_t place, Tree::Node& node) {
  const json::array* three = value.if_array();
  if (three == nullptr || three->size() != 3 ||
      !std::ranges::all_of(*three, [](const json::value& v) { return v.is_number(); }))
    return false;
  const double input = (*three)[0].to_number<double>();
  node.threshold = static_cast<float>((*three)[1].to_number<double>());
  node.value = static_cast<float>((*three)[2].to_number<double>());
  // The last row of a tree asks nothing: it has no children.
  const double most =
      2 * place + 2 < Tree::kNodes ? static_cast<double>(Model::kTreeInputs) - 1 : -1;
  if (!(input >= -1 && input <= most)) return false;
  node.input = static_cast<std::int16_t>(input);
  return std::isfinite(node.threshold) && std::isfinite(node.value);
}

void read_trees(Reader& reader, Trees& trees) {
  const json::value* stored = reader.find("trees");
  if (stored == nullptr || !stored->is_array() || stored->get_array().size() > 1'000) {
    reader.fault_at("trees");
    return;
  }
  for (const json::value& one : stored->get_array()) {
    Tree tree;
    const json::array* nodes = one.if_array();
    bool good = nodes != nullptr && nodes->size() == Tree::kNodes;
    for (std::size_t i = 0; good && i < Tree::kNodes; ++i)
      good = read_node((*nodes)[i], i, tree.nodes[i]);
    if (!good) {
      reader.fault_at("trees");
      return;
    }
    trees.trees.push_back(tree);
  }
}

void move(float& weight, float origin, double by) {
  weight = std::clamp(weight + static_cast<float>(by), origin - Model::kMostDrift,
                      origin + Model::kMostDrift);
}

}  // namespace

double logistic(double z) { return 1 / (1 + std::exp(-z)); }

float Model::scaled(std::size_t form, float value) const {
  return std::clamp((value - mean[form]) * scale[form], -4.0F, 4.0F) * kFormScale;
}

float Model::inverse_length(const Features& features) const {
  float squares = 0;
  for (const auto& [bucket, count] : features.found()) {
    const float value = count * rarity[bucket];
    squares += value * value;
  }
  return squares > 0 ? 1 / std::sqrt(squares) : 0;
}

namespace {

/// z of both heads, in parts by what they come from.
struct Scores {
  std::array<double, kGroups> weak{}, strong{};
  double weak_z = 0, strong_z = 0;
};

Scores scores_of(const Model& model, const Features& features) {
  Scores s;
  for (std::size_t i = 0; i < Features::kForms; ++i) {
    const double value = static_cast<double>(model.scaled(i, features.form[i]));
    const auto group = Features::group_of(i);
    s.weak[group] += value * static_cast<double>(model.weak_head.form[i]);
    s.strong[group] += value * static_cast<double>(model.strong_head.form[i]);
  }
  const float inverse = model.inverse_length(features);
  float weak_words = 0, strong_words = 0;
  for (const auto& [bucket, count] : features.found()) {
    const float value = count * model.rarity[bucket] * inverse;
    weak_words += value * model.weak_head.words[bucket];
    strong_words += value * model.strong_head.words[bucket];
  }
  s.weak[Features::kWords] += static_cast<double>(weak_words);
  s.strong[Features::kWords] += static_cast<double>(strong_words);
  s.weak_z = static_cast<double>(model.weak_head.bias);
  s.strong_z = static_cast<double>(model.strong_head.bias);
  for (std::size_t g = 0; g < kGroups; ++g) {
    s.weak_z += s.weak[g];
    s.strong_z += s.strong[g];
  }
  return s;
}

Features::Group largest(const std::array<double, kGroups>& moved) {
  const auto most =
      std::ranges::max_element(moved, {}, [](double value) { return std::abs(value); });
  return static_cast<Features::Group>(most - moved.begin());
}

}  // namespace

Model::TreeInputs Model::tree_inputs(const std::array<float, Features::kForms>& form, double weak_z,
                                     double strong_z) {
  TreeInputs inputs;
  std::ranges::copy(form, inputs.begin());
  inputs[Features::kForms] = static_cast<float>(weak_z);
  inputs[Features::kForms + 1] = static_cast<float>(strong_z);
  inputs[Features::kForms + 2] = static_cast<float>(logistic(strong_z) - logistic(weak_z));
  return inputs;
}

double Model::head_gain(const Features& features) const {
  const Scores s = scores_of(*this, features);
  return logistic(s.strong_z) - logistic(s.weak_z);
}

Judgement Model::judge(const Features& features) const {
  const Scores s = scores_of(*this, features);
  Judgement judged{.weak = logistic(s.weak_z), .strong = logistic(s.strong_z)};
  std::array<double, kGroups> moved{};
  if (trees.empty() && line.weights.empty()) {
    const double weak_slope = judged.weak * (1 - judged.weak);
    const double strong_slope = judged.strong * (1 - judged.strong);
    for (std::size_t g = 0; g < kGroups; ++g)
      moved[g] = s.strong[g] * strong_slope - s.weak[g] * weak_slope;
  } else {
    const TreeInputs inputs = tree_inputs(features.form, s.weak_z, s.strong_z);
    std::array<double, kTreeInputs> by_input{};
    double gain = trees.predict(inputs, by_input) + static_cast<double>(line.base);
    for (std::size_t i = 0; i < line.weights.size(); ++i) {
      const float input = i < Features::kForms ? scaled(i, inputs[i]) : inputs[i];
      const double by = static_cast<double>(line.weights[i] * input);
      gain += by;
      // The form is scaled around its mean; the heads' numbers are not, and their mean moves
      // nobody.
      if (i < Features::kForms) by_input[i] += by;
    }
    judged.adjusted = gain - (judged.strong - judged.weak);
    for (std::size_t i = 0; i < kTreeInputs; ++i)
      moved[i < Features::kForms ? Features::group_of(i) : Features::kWords] += by_input[i];
  }
  judged.why = largest(moved);
  return judged;
}

double Model::threshold(double quality_target, double strong_share) const {
  if (curve.empty()) return 0;
  for (const CurvePoint& point : curve) {
    const bool enough = strong_share > 0 ? point.strong_share >= strong_share
                                         : point.accuracy >= quality_target * strong_accuracy;
    if (enough) return point.threshold;
  }
  return curve.back().threshold;
}

void Model::learn(const Features& features, bool strong_answered, double value, double step,
                  const Model& trained) {
  const Scores scores = scores_of(*this, features);
  Head& head = strong_answered ? strong_head : weak_head;
  const Head& origin = strong_answered ? trained.strong_head : trained.weak_head;
  const double error =
      std::clamp(value, 0.0, 1.0) - logistic(strong_answered ? scores.strong_z : scores.weak_z);
  const double by = error * std::clamp(step, 0.0, 0.5);
  move(head.bias, origin.bias, by);
  for (std::size_t i = 0; i < Features::kForms; ++i) {
    move(head.form[i], origin.form[i], by * static_cast<double>(scaled(i, features.form[i])));
  }
  const float inverse = inverse_length(features);
  for (const auto& [bucket, count] : features.found()) {
    move(head.words[bucket], origin.words[bucket],
         by * static_cast<double>(count * rarity[bucket] * inverse));
  }
}

json::object Model::to_json() const {
  json::array points;
  for (const CurvePoint& point : curve) {
    points.push_back(json::array{point.strong_share, point.threshold, point.accuracy});
  }
  return {{"format", kFormat},
          {"version", kVersion},
          {"weak_model", weak},
          {"strong_model", strong},
          {"trained_at", trained_at},
          {"rows", rows},
          {"weak_accuracy", weak_accuracy},
          {"strong_accuracy", strong_accuracy},
          {"curve", std::move(points)},
          {"mean", packed(mean)},
          {"scale", packed(scale)},
          {"rarity", packed(rarity)},
          {"weak", head_json(weak_head)},
          {"strong", head_json(strong_head)},
          {"line_base", line.base},
          {"line", packed(line.weights)},
          {"tree_base", trees.base},
          {"trees", trees_json(trees)}};
}

Result<Model> Model::from_json(const json::value& value) {
  const json::object* object = value.if_object();
  if (object == nullptr) return corrupt("it is no JSON object");
  Reader reader(*object);
  std::string format;
  double version = 0, rows = 0;
  reader.text("format", format);
  reader.number("version", version);
  if (format != kFormat) return corrupt("its format is another one");
  if (version != static_cast<double>(kVersion)) {
    return corrupt(fmt::format("it has version {}, and this program reads {}", version, kVersion));
  }
  Model model;
  reader.text("weak_model", model.weak);
  reader.text("strong_model", model.strong);
  reader.text("trained_at", model.trained_at);
  reader.number("rows", rows);
  model.rows = static_cast<std::int64_t>(std::clamp(rows, 0.0, 1e15));
  reader.number("weak_accuracy", model.weak_accuracy);
  reader.number("strong_accuracy", model.strong_accuracy);
  reader.floats("mean", model.mean);
  reader.floats("scale", model.scale);
  reader.floats("rarity", model.rarity, Features::kBuckets);
  read_head(reader, "weak", model.weak_head);
  read_head(reader, "strong", model.strong_head);
  double base = 0;
  reader.number("line_base", base);
  model.line.base = static_cast<float>(base);
  reader.floats("line", model.line.weights, Model::kTreeInputs);
  reader.number("tree_base", base);
  model.trees.base = static_cast<float>(base);
  read_trees(reader, model.trees);
  const json::value* points = reader.find("curve");
  if (points == nullptr || !points->is_array() || points->get_array().size() > 10'000) {
    reader.fault_at("curve");
  } else {
    for (const json::value& point : points->get_array()) {
      const bool good = point.is_array() && point.get_array().size() == 3 &&
                        std::ranges::all_of(point.get_array(),
                                            [](const json::value& v) { return v.is_number(); });
      if (!good) {
        reader.fault_at("curve");
        break;
      }
      const json::array& three = point.get_array();
      model.curve.push_back({three[0].to_number<double>(), three[1].to_number<double>(),
                             three[2].to_number<double>()});
    }
  }
  if (!reader.fault().empty()) return corrupt(reader.fault());
  return model;
}

Result<Model> Model::load(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) {
    return fail(Errc::kNotFound, fmt::format("there is no trained router at {}", path));
  }
  if (size > kMostBytes) return corrupt(fmt::format("{} is larger than 16 MiB", path));
  std::ifstream in(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  if (!in) return fail(Errc::kNotFound, fmt::format("{} cannot be read", path));
  auto parsed = parse_json(text);
  if (!parsed) return corrupt(fmt::format("{}: {}", path, parsed.error().message));
  return from_json(*parsed);
}

Result<void> Model::check_writable(const std::string& path) {
  const std::filesystem::path target(path);
  std::error_code error;
  if (target.has_parent_path()) std::filesystem::create_directories(target.parent_path(), error);
  if (std::filesystem::is_directory(target, error)) {
    return fail(Errc::kUnavailable, fmt::format("cannot write {}: it is a folder", path));
  }
  const std::string fresh = path + ".new";
  const bool opened = std::ofstream(fresh, std::ios::binary).is_open();
  std::filesystem::remove(fresh, error);
  if (!opened) {
    return fail(
        Errc::kUnavailable,
        fmt::format("cannot write {}; name another file with --out, or mend its folder", path));
  }
  return {};
}

Result<void> Model::save(const std::string& path) const {
  const std::filesystem::path target(path);
  std::error_code error;
  if (target.has_parent_path()) std::filesystem::create_directories(target.parent_path(), error);
  const std::string fresh = path + ".new";
  {
    std::ofstream out(fresh, std::ios::binary);
    out << json::serialize(to_json()) << '\n';
    out.flush();
    if (!out) return fail(Errc::kUnavailable, fmt::format("cannot write {}", fresh));
  }
  std::filesystem::rename(fresh, target, error);
  if (error) {
    return fail(Errc::kUnavailable, fmt::format("cannot write {}: {}", path, error.message()));
  }
  return {};
}

}  // namespace asahi::gateway::learned
