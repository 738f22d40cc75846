// Translates pictures with a .i2i bundle, by OpenVINO's C++ API: what a program of your own would do, and nothing else.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#endif

#include "bundle.hpp"
#include "error.hpp"
#include "network.hpp"
#include "options.hpp"
#include "picture.hpp"

namespace i2i {
namespace {

constexpr int kWarmUp = 3;  // runs before the timed ones: memory is set up, clocks go up

void binary_stdio() {
#ifdef _WIN32
  _setmode(_fileno(stdin), _O_BINARY);
  _setmode(_fileno(stdout), _O_BINARY);
#endif
}

// stdin, or a file.
class Input {
 public:
  explicit Input(const std::string& name) : is_file_(name != "-") {
    if (is_file_) file_.open(name, std::ios::binary);
    if (!file_) throw Error(Exit::bad_input, "'" + name + "' cannot be read.", "Check the path.");
  }
  std::istream& stream() { return is_file_ ? file_ : std::cin; }

 private:
  bool is_file_;
  std::ifstream file_;
};

// stdout, or a file that is not touched before there is something to write.
class Output {
 public:
  explicit Output(std::string name) : name_(std::move(name)) {}

  std::ostream& stream() {
    if (name_ == "-") return std::cout;
    if (!file_.is_open()) file_.open(name_, std::ios::binary);
    if (!file_) throw Error(Exit::bad_input, "'" + name_ + "' cannot be written.", "Check the folder.");
    return file_;
  }

 private:
  std::string name_;
  std::ofstream file_;
};

double milliseconds_of_one(Network& network, const Picture& frame, Picture& result) {
  const auto began = std::chrono::steady_clock::now();
  network.translate(frame, result);
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
}

void bench(Network& network, const Picture& frame, int runs) {
  Picture result(frame.size);
  for (int i = 0; i < kWarmUp; ++i) network.translate(frame, result);
  std::vector<double> times(static_cast<std::size_t>(runs));
  for (double& time : times) time = milliseconds_of_one(network, frame, result);
  std::sort(times.begin(), times.end());
  const double p50 = times[times.size() / 2], p99 = times[(times.size() * 99) / 100];
  std::fprintf(stderr, "%d runs: p50 %.2f ms, p99 %.2f ms, %.1f fps\n", runs, p50, p99, 1e3 / p50);
}

void run(const Options& options) {
  const Bundle bundle(options.bundle);
  Network network(bundle.frame_graph(options.variant), options.variant == "fp32", options.threads);
  std::cerr << options.bundle << ": " << options.variant << " on " << network.description() << '\n';
  binary_stdio();
  Input input(options.input);
  Output output(options.output);
  Picture last(network.size()), result(network.size());
  int pictures = 0;
  while (auto frame = read_ppm(input.stream())) {
    network.translate(*frame, result);
    write_ppm(output.stream(), result);
    last = std::move(*frame);
    ++pictures;
  }
  if (pictures == 0) throw Error(Exit::bad_input, "'" + options.input + "' is empty.", "Give a binary PPM (P6).");
  std::fprintf(stderr, "%d translated\n", pictures);
  if (options.bench > 0) bench(network, last, options.bench);
}

}  // namespace
}  // namespace i2i

int main(int count, char** arguments) {
  try {
    const i2i::Options options = i2i::parse({arguments + 1, arguments + count});
    if (options.help) {
      std::fputs(i2i::kHelp, stdout);
    } else {
      i2i::run(options);
    }
    return 0;
  } catch (const i2i::Error& error) {
    std::fprintf(stderr, "i2i_translate: %s\n", error.what());
    return static_cast<int>(error.exit_code);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "i2i_translate: unexpected: %s\n", error.what());
    return static_cast<int>(i2i::Exit::unexpected);
  }
}
