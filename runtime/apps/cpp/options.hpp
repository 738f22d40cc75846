// The command line.
#pragma once

#include <string>
#include <vector>

namespace i2i {

struct Options {
  std::string bundle, input, output;
  std::string variant = "fp32";
  int threads = 0;  // 0: OpenVINO chooses
  int bench = 0;    // runs to time; 0: none
  bool help = false;
};

extern const char* const kHelp;

// Throws Error where the arguments make no sense.
Options parse(const std::vector<std::string>& arguments);

}  // namespace i2i
