// Reads members of an uncompressed zip, which is what a `.i2i` file is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace i2i {

class StoredZip {
 public:
  // Reads the table of contents. Throws Error where the file is no uncompressed zip, is damaged, or is above 4 GB.
  explicit StoredZip(std::filesystem::path path);

  struct Member {
    std::uint32_t header;  // where its local header begins
    std::uint32_t size;    // in bytes
    std::uint32_t crc32;
  };
  const std::map<std::string, Member>& members() const { return members_; }

  // A whole member, held against its checksum.
  // Throws Error where it is damaged, std::out_of_range where it is not there.
  std::string read(const std::string& name) const;

 private:
  std::filesystem::path path_;
  std::map<std::string, Member> members_;
};

}  // namespace i2i
