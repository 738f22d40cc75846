// RGB pictures, and the simplest file format for them: binary PPM (P6), one or many in a stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace i2i {

struct Size {
  std::size_t height, width;

  std::size_t bytes() const { return height * width * 3; }
  std::string text() const { return std::to_string(height) + "x" + std::to_string(width); }
  bool operator==(const Size& other) const { return height == other.height && width == other.width; }
};

struct Picture {
  explicit Picture(Size its_size) : size(its_size), pixels(its_size.bytes()) {}

  Size size;
  std::vector<std::uint8_t> pixels;  // RGB, rows from the top, without gaps
};

// The next picture of a stream; nothing where it has ended. Throws Error where what follows is no 8-bit P6 picture.
std::optional<Picture> read_ppm(std::istream& stream);

// Throws Error where the stream takes no more (disk full, reader gone).
void write_ppm(std::ostream& stream, const Picture& picture);

}  // namespace i2i
