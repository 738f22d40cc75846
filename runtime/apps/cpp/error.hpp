// What went wrong, what to do next, and the exit code: the same codes as the `edge-i2i` command's.
#pragma once

#include <stdexcept>
#include <string>

namespace i2i {

enum class Exit { done = 0, unexpected = 1, usage = 2, missing = 3, bad_input = 4 };

class Error : public std::runtime_error {
 public:
  Error(Exit code, const std::string& what, const std::string& remedy = "")
      : std::runtime_error(remedy.empty() ? what : what + "\n  → " + remedy), exit_code(code) {}

  const Exit exit_code;
};

}  // namespace i2i
