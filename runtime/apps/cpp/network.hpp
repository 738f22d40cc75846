// A bundle's frame graph, compiled by OpenVINO for this processor.
#pragma once

#include <openvino/openvino.hpp>
#include <string>

#include "picture.hpp"

namespace i2i {

class Network {
 public:
  // Compiles an ONNX file. `full_precision`: compute in FP32 also where the processor prefers BF16 (Intel AMX).
  // `threads`: 0 leaves it to OpenVINO. Throws Error where it is no network that takes a frame and nothing else.
  Network(const std::string& onnx, bool full_precision, int threads);

  Size size() const { return size_; }

  // Translates a picture of exactly `size()` into another one; allocates nothing. For one thread at a time.
  // Throws Error where a size differs.
  void translate(const Picture& frame, Picture& result);

  // What it really computes in, and with how many threads.
  std::string description() const;

 private:
  ov::Core core_;
  ov::CompiledModel compiled_;
  ov::InferRequest request_;
  Size size_{};
};

}  // namespace i2i
