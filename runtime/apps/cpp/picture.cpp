#include "picture.hpp"

#include <cctype>
#include <cstdio>
#include <istream>
#include <ostream>

#include "error.hpp"

namespace i2i {
namespace {

constexpr std::size_t kLargestSide = 16384;  // as everywhere in edge-i2i

[[noreturn]] void refuse(const std::string& reason) {
  throw Error(Exit::bad_input, "This is no picture that can be read: " + reason + ".",
              "Binary PPM (P6, 8 bit) is read: ffmpeg -i photo.jpg photo.ppm");
}

// A number of the header: blanks, lines that begin with #, digits, and exactly one blank that ends it.
std::size_t header_number(std::istream& stream) {
  int next = stream.get();
  while (next == '#' || (next != EOF && std::isspace(next) != 0)) {
    while (next == '#' && stream.peek() != '\n' && stream.peek() != EOF) stream.get();
    next = stream.get();
  }
  std::size_t value = 0;
  if (next == EOF || std::isdigit(next) == 0) refuse("its header is damaged");
  for (; next != EOF && std::isdigit(next) != 0; next = stream.get()) {
    value = value * 10 + static_cast<std::size_t>(next - '0');
    if (value > 65535) refuse("a number in its header is too large");
  }
  if (next == EOF || std::isspace(next) == 0) refuse("its header is damaged");
  return value;
}

}  // namespace

std::optional<Picture> read_ppm(std::istream& stream) {
  if (stream.peek() == EOF) return std::nullopt;
  if (stream.get() != 'P' || stream.get() != '6') refuse("it does not begin with P6");
  const std::size_t width = header_number(stream), height = header_number(stream), highest = header_number(stream);
  if (highest != 255) refuse("it has " + std::to_string(highest + 1) + " levels instead of 256");
  if (width == 0 || height == 0 || width > kLargestSide || height > kLargestSide) refuse("its size is out of range");
  Picture picture({height, width});
  stream.read(reinterpret_cast<char*>(picture.pixels.data()), static_cast<std::streamsize>(picture.pixels.size()));
  if (!stream) refuse("it is cut short");
  return picture;
}

void write_ppm(std::ostream& stream, const Picture& picture) {
  stream << "P6\n" << picture.size.width << ' ' << picture.size.height << "\n255\n";
  const auto* const bytes = reinterpret_cast<const char*>(picture.pixels.data());
  if (!stream.write(bytes, static_cast<std::streamsize>(picture.pixels.size())).flush()) {
    throw Error(Exit::bad_input, "The result cannot be written.", "Check that there is room, and who reads it.");
  }
}

}  // namespace i2i
