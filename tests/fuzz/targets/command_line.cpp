// SPDX-License-Identifier: GPL-2.0-only
// Command lines of nfagent and nfrelayd, a word a line of the input: options, text to print, or an error that can be
// printed. Words that make them read files or standard input are left out.
#include <string>
#include <vector>

#include "agent/options.hpp"
#include "fuzz/target.hpp"
#include "relayd/options.hpp"

namespace {

std::vector<std::string> words_of(std::string_view input) {
  std::vector<std::string> words = {"program"};
  while (!input.empty() && words.size() < 16) {
    const std::string word(input.substr(0, std::min(input.find_first_of(std::string_view("\n\0", 2)), input.size())));
    input.remove_prefix(std::min(word.size() + 1, input.size()));
    const bool reads = word == "-" || word.starts_with("--file") || word.starts_with("--config");
    if (!reads) words.push_back(word);
  }
  return words;
}

template <class Parsed>
void check(const Parsed& parsed) {
  if (!parsed) return NFR_HOLDS(nfr::fuzz::printable(parsed.error().message()));
  NFR_HOLDS(parsed->options.has_value() == parsed->print.empty());
}

}  // namespace

void nfr::fuzz::one_input(std::string_view input) {
  std::vector<std::string> words = words_of(input);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  check(agent::parse_command_line(static_cast<int>(words.size()), argv.data()));
  check(relayd::parse_command_line(static_cast<int>(words.size()), argv.data()));
}
