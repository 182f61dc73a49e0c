// SPDX-License-Identifier: GPL-2.0-only
// Writes the seeds into CORPUS/<target>/<name>; what a search found lies beside them and is left alone.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "fuzz/seeds/seeds.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_seeds CORPUS (tests/fuzz/corpus)\n");
    return 2;
  }
  std::size_t count = 0;
  for (const auto& seeds : {nfr::fuzz::binary_seeds(), nfr::fuzz::text_seeds()}) {
    for (const auto& seed : seeds) {
      const std::filesystem::path directory = std::filesystem::path(argv[1]) / seed.target;
      std::filesystem::create_directories(directory);
      std::ofstream file(directory / seed.name, std::ios::binary);
      if (!(file << seed.input).flush()) {
        std::fprintf(stderr, "cannot write %s/%s\n", directory.c_str(), seed.name.c_str());
        return 1;
      }
      ++count;
    }
  }
  std::printf("%zu seeds\n", count);
  return 0;
}
