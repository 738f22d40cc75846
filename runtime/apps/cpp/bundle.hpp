// Finds the frame graph of a `.i2i` bundle: a folder, or the same thing as one uncompressed zip.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "stored_zip.hpp"

namespace i2i {

class Bundle {
 public:
  // Throws Error where there is no bundle, or it is damaged.
  explicit Bundle(std::filesystem::path path);

  // Variants of the frame graph that OpenVINO reads as they are meant: fp32, fp16, int8-openvino, mixed-openvino, …
  std::vector<std::string> variants() const;

  // The ONNX file of a variant. Throws Error where the bundle has no such variant, or it is meant for another engine.
  std::string frame_graph(const std::string& variant) const;

 private:
  std::vector<std::string> names() const;
  std::string read(const std::string& name) const;

  std::filesystem::path path_;
  std::optional<StoredZip> zip_;
};

}  // namespace i2i
