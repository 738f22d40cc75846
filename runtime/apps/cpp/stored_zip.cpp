#include "stored_zip.hpp"

#include <array>
#include <fstream>
#include <string_view>
#include <utility>

#include "error.hpp"

namespace i2i {
namespace {

// Sizes of the fixed parts of zip's records, and what they begin with (APPNOTE.TXT 4.3.7, 4.3.12 and 4.3.16).
constexpr std::size_t kEndSize = 22, kEntrySize = 46, kHeaderSize = 30;
constexpr std::string_view kEnd = "PK\5\6", kEntry = "PK\1\2", kHeader = "PK\3\4";
constexpr std::uint32_t kInLargeRecord = 0xFFFFFFFF;  // the figure itself stands in a zip64 record

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& reason) {
  throw Error(Exit::bad_input, "The bundle '" + path.string() + "' cannot be used: " + reason + ".",
              "Copy or download it again, or export it again.");
}

// A little-endian number of `count` bytes at `at`.
std::uint32_t number(std::string_view bytes, std::size_t at, std::size_t count) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value |= std::uint32_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
  return value;
}

constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320U : 0U);
    table[i] = value;
  }
  return table;
}

std::uint32_t crc32_of(std::string_view bytes) {
  static constexpr auto kTable = crc_table();
  std::uint32_t value = 0xFFFFFFFF;
  for (const char byte : bytes) value = (value >> 8) ^ kTable[(value ^ static_cast<unsigned char>(byte)) & 0xFF];
  return ~value;
}

std::ifstream opened(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(Exit::bad_input, "'" + path.string() + "' cannot be opened.", "Check the path.");
  return file;
}

std::string read_at(const std::filesystem::path& path, std::ifstream& file, std::uint64_t at, std::size_t size) {
  std::string bytes(size, '\0');
  file.seekg(static_cast<std::streamoff>(at));
  if (!file.read(bytes.data(), static_cast<std::streamsize>(size))) refuse(path, "it is cut short");
  return bytes;
}

StoredZip::Member member_of(const std::filesystem::path& path, std::string_view entry) {
  constexpr std::uint32_t kHarmless = 0x0808;  // sizes repeated behind the data; UTF-8 names
  const bool stored = number(entry, 10, 2) == 0 && number(entry, 20, 4) == number(entry, 24, 4);
  if (!stored || (number(entry, 8, 2) & ~kHarmless) != 0) refuse(path, "it is compressed or encrypted");
  return {number(entry, 42, 4), number(entry, 24, 4), number(entry, 16, 4)};
}

std::map<std::string, StoredZip::Member> read_directory(const std::filesystem::path& path, std::string_view table,
                                                        std::uint32_t entries) {
  std::map<std::string, StoredZip::Member> members;
  std::size_t at = 0;
  for (std::uint32_t i = 0; i < entries; ++i) {
    const bool begins = table.size() - at >= kEntrySize && table.substr(at, 4) == kEntry;
    if (!begins) refuse(path, "its table of contents is damaged");
    const std::size_t name = number(table, at + 28, 2);
    const std::size_t whole = kEntrySize + name + number(table, at + 30, 2) + number(table, at + 32, 2);
    if (table.size() - at < whole) refuse(path, "its table of contents is cut short");
    members.emplace(table.substr(at + kEntrySize, name), member_of(path, table.substr(at)));
    at += whole;
  }
  return members;
}

}  // namespace

StoredZip::StoredZip(std::filesystem::path path) : path_(std::move(path)) {
  std::ifstream file = opened(path_);
  const std::uint64_t size = std::filesystem::file_size(path_);
  if (size < kEndSize || read_at(path_, file, 0, 4) != kHeader) refuse(path_, "it is neither a folder nor a zip");
  const std::string end = read_at(path_, file, size - kEndSize, kEndSize);
  if (end.substr(0, 4) != kEnd) refuse(path_, "its end is missing; it was cut short, or something was appended to it");
  const std::uint32_t table_size = number(end, 12, 4), table_at = number(end, 16, 4);
  if (table_at == kInLargeRecord) {
    throw Error(Exit::bad_input, "The bundle '" + path_.string() + "' is above 4 GB; this sample reads smaller zips.",
                "Unpack it, and give the folder: python -m zipfile -e BUNDLE.i2i FOLDER.i2i");
  }
  if (std::uint64_t{table_at} + table_size > size) refuse(path_, "its table of contents is damaged");
  members_ = read_directory(path_, read_at(path_, file, table_at, table_size), number(end, 10, 2));
}

std::string StoredZip::read(const std::string& name) const {
  const Member& member = members_.at(name);
  std::ifstream file = opened(path_);
  const std::string header = read_at(path_, file, member.header, kHeaderSize);
  if (header.substr(0, 4) != kHeader) refuse(path_, "its table of contents points to the wrong places");
  const std::uint64_t at = std::uint64_t{member.header} + kHeaderSize + number(header, 26, 2) + number(header, 28, 2);
  if (at + member.size > std::filesystem::file_size(path_)) refuse(path_, "'" + name + "' in it is cut short");
  std::string bytes = read_at(path_, file, at, member.size);
  if (crc32_of(bytes) != member.crc32) refuse(path_, "'" + name + "' in it is damaged");
  return bytes;
}

}  // namespace i2i
