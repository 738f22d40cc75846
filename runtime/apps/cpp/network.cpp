#include "network.hpp"

#include <memory>

#include "error.hpp"

namespace i2i {
namespace {

[[noreturn]] void refuse(const std::string& what) {
  throw Error(Exit::bad_input, what, "This sample runs networks that take a frame and nothing else.");
}

// The picture contract of every bundle: uint8 [H, W, 3] RGB in, and the same out.
Size size_of(const ov::Output<const ov::Node>& port) {
  const ov::PartialShape& shape = port.get_partial_shape();
  if (port.get_element_type() != ov::element::u8 || shape.is_dynamic() || shape.size() != 3 ||
      shape[2].get_length() != 3) {
    refuse("The graph's '" + port.get_any_name() + "' is no uint8 picture of a fixed size.");
  }
  return {static_cast<std::size_t>(shape[0].get_length()), static_cast<std::size_t>(shape[1].get_length())};
}

ov::AnyMap settings(bool full_precision, int threads) {
  ov::AnyMap chosen{ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY)};
  if (full_precision) chosen.insert(ov::hint::inference_precision(ov::element::f32));
  if (threads > 0) chosen.insert(ov::inference_num_threads(threads));
  return chosen;
}

ov::CompiledModel compile(ov::Core& core, const std::string& onnx, const ov::AnyMap& chosen) {
  try {
    return core.compile_model(core.read_model(onnx, ov::Tensor()), "CPU", chosen);
  } catch (const ov::Exception& error) {
    throw Error(Exit::bad_input, std::string("OpenVINO cannot compile the graph: ") + error.what(),
                "Update OpenVINO, or give another --variant.");
  }
}

// OpenVINO takes the caller's memory as it is; it only reads what is set as an input.
ov::Tensor shared(const Picture& picture) {
  auto* const pixels = const_cast<std::uint8_t*>(picture.pixels.data());
  return {ov::element::u8, {picture.size.height, picture.size.width, 3}, pixels};
}

}  // namespace

Network::Network(const std::string& onnx, bool full_precision, int threads)
    : compiled_(compile(core_, onnx, settings(full_precision, threads))) {
  if (compiled_.inputs().size() != 1 || compiled_.outputs().size() != 1) {
    std::string names;
    for (const auto& port : compiled_.inputs()) names += " " + port.get_any_name();
    refuse("The network takes more than a frame:" + names + ".");
  }
  size_ = size_of(compiled_.input());
  if (!(size_of(compiled_.output()) == size_)) refuse("The network's pictures differ in size.");
  request_ = compiled_.create_infer_request();
}

void Network::translate(const Picture& frame, Picture& result) {
  if (!(frame.size == size_ && result.size == size_)) {
    const std::string wide = std::to_string(size_.width) + ":" + std::to_string(size_.height);
    throw Error(Exit::bad_input, "The picture is " + frame.size.text() + "; the network takes " + size_.text() + ".",
                "Scale it first (ffmpeg -i photo.jpg -vf scale=" + wide + " photo.ppm), or export at its size.");
  }
  request_.set_input_tensor(shared(frame));
  request_.set_output_tensor(shared(result));
  request_.infer();
}

std::string Network::description() const {
  const auto precision = compiled_.get_property(ov::hint::inference_precision);
  return "OpenVINO " + std::string(ov::get_openvino_version().buildNumber) + ", " + size_.text() + ", floats in " +
         precision.get_type_name() + ", threads " + std::to_string(compiled_.get_property(ov::inference_num_threads));
}

}  // namespace i2i
