#include "options.hpp"

#include <algorithm>
#include <cctype>

#include "error.hpp"

namespace i2i {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw Error(Exit::usage, what, "See i2i_translate --help."); }

int positive(const std::string& option, const std::string& text) {
  const bool digits = std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  const int value = digits && !text.empty() && text.size() < 8 ? std::stoi(text) : 0;
  if (value < 1) refuse(option + " takes a whole number from 1 on, not '" + text + "'.");
  return value;
}

void set(Options& options, const std::string& option, const std::string& value) {
  if (option == "--variant") {
    options.variant = value;
  } else if (option == "--threads") {
    options.threads = positive(option, value);
  } else if (option == "--bench") {
    options.bench = positive(option, value);
  } else {
    refuse("There is no option '" + option + "'.");
  }
}

}  // namespace

const char* const kHelp =
    "Translates pictures with a .i2i bundle, by OpenVINO.\n"
    "\n"
    "i2i_translate BUNDLE INPUT.ppm OUTPUT.ppm [--variant fp32] [--threads N] [--bench N]\n"
    "\n"
    "INPUT, OUTPUT  binary PPM (P6), of the network's size; - is stdin or stdout, with any number of pictures\n"
    "--variant      fp32, fp16, int8-openvino, … (see edge-i2i inspect BUNDLE)\n"
    "--threads      CPU threads; by default OpenVINO's choice\n"
    "--bench        then translate the last picture N times, and say how long that takes\n"
    "\n"
    "A camera:  ffmpeg -i /dev/video0 -vf scale=640:480 -f image2pipe -c:v ppm - |\n"
    "           i2i_translate demo.i2i - - | ffplay -f image2pipe -c:v ppm -\n";

Options parse(const std::vector<std::string>& arguments) {
  Options options;
  std::vector<std::string> places;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--help" || argument == "-h") {
      options.help = true;
    } else if (argument.substr(0, 2) != "--") {
      places.push_back(argument);
    } else if (i + 1 < arguments.size()) {
      set(options, argument, arguments[++i]);
    } else {
      refuse(argument + " takes a value.");
    }
  }
  if (options.help) return options;
  if (places.size() != 3) refuse("Give a bundle, an input and an output.");
  options.bundle = places[0], options.input = places[1], options.output = places[2];
  return options;
}

}  // namespace i2i
