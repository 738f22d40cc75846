#include "bundle.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

#include "error.hpp"

namespace i2i {
namespace {

// A bundle's graphs lie at graphs/GRAPH.VARIANT.onnx; the graph that runs for every frame is called `frame`.
const std::string kBefore = "graphs/frame.", kAfter = ".onnx";

bool begins_with(std::string_view text, std::string_view start) { return text.substr(0, start.size()) == start; }

// Quantized graphs carry the rules of the engine that they were made for; another one misreads them without a word.
bool is_for_openvino(const std::string& variant) {
  const bool quantized = begins_with(variant, "int8-") || begins_with(variant, "mixed-");
  return !quantized || begins_with(variant.substr(variant.find('-') + 1), "openvino");
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace

Bundle::Bundle(std::filesystem::path path) : path_(std::move(path)) {
  if (!std::filesystem::exists(path_)) {
    throw Error(Exit::bad_input, "There is no bundle '" + path_.string() + "'.", "edge-i2i export onnx writes one.");
  }
  if (!std::filesystem::is_directory(path_)) zip_.emplace(path_);
  if (variants().empty()) {
    throw Error(Exit::bad_input, "'" + path_.string() + "' holds no frame graph that OpenVINO can run.",
                "Give the path of a .i2i bundle that 'edge-i2i export onnx' wrote.");
  }
}

std::vector<std::string> Bundle::variants() const {
  std::vector<std::string> found;
  for (const std::string& name : names()) {
    if (!begins_with(name, kBefore) || name.size() <= kBefore.size() + kAfter.size()) continue;
    const std::string rest = name.substr(kBefore.size());
    const std::string variant = rest.substr(0, rest.size() - kAfter.size());
    if (rest == variant + kAfter && is_for_openvino(variant)) found.push_back(variant);
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string Bundle::frame_graph(const std::string& variant) const {
  const std::vector<std::string> known = variants();
  if (std::find(known.begin(), known.end(), variant) == known.end()) {
    throw Error(Exit::usage, "The bundle has no variant '" + variant + "' that OpenVINO reads as it is meant.",
                "It has: " + joined(known) + ".");
  }
  return read(kBefore + variant + kAfter);
}

std::vector<std::string> Bundle::names() const {
  std::vector<std::string> found;
  if (zip_) {
    for (const auto& member : zip_->members()) found.push_back(member.first);
  } else if (std::filesystem::is_directory(path_ / "graphs")) {
    for (const auto& entry : std::filesystem::directory_iterator(path_ / "graphs")) {
      found.push_back("graphs/" + entry.path().filename().string());
    }
  }
  return found;
}

std::string Bundle::read(const std::string& name) const {
  if (zip_) return zip_->read(name);
  std::ifstream file(path_ / name, std::ios::binary);
  if (!file) throw Error(Exit::bad_input, "'" + (path_ / name).string() + "' cannot be read.", "Check its rights.");
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace i2i
