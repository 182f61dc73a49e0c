// SPDX-License-Identifier: GPL-2.0-only
// Feeds every file of the directories named on the command line to a target, and each of its truncations, so that
// the corpus is a test with any compiler. Fails when there is no file: a corpus that was lost must not look green.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "../harness/scale.hpp"
#include "target.hpp"

namespace {

constexpr std::size_t kTruncationsMax = 512;

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void feed(const std::string& input) {
  nfr::fuzz::one_input(input);
  const std::size_t step = kTruncationsMax / nfr::test::scaled(kTruncationsMax, 32);
  for (std::size_t size = 0; size < std::min(input.size(), kTruncationsMax); size += step) {
    nfr::fuzz::one_input(std::string_view(input).substr(0, size));
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  for (const auto& path : files) {
    // Said before it is fed, so that a crash names its input.
    std::fprintf(stderr, "%s\n", path.c_str());
    feed(content_of(path));
  }
  std::fprintf(stderr, "%zu inputs\n", files.size());
  return files.empty() ? 1 : 0;
}
