// SPDX-License-Identifier: GPL-2.0-only
// A command line of nfctl, a word a line of the input, before any relay: a request whose JSON can be sent, text, or an
// error that can be printed; and the words that a shell would offer to go on with.
#include <vector>

#include "admin/message.hpp"
#include "fuzz/target.hpp"
#include "nfctl/app.hpp"
#include "nfctl/complete.hpp"

namespace {

using namespace nfr;

nfctl::Environment environment(const std::string& file) {
  nfctl::Environment out;
  out.variable = [](const std::string&) { return std::nullopt; };
  out.exists = [](const std::string&) { return false; };
  out.call = [](const std::string&, const nfctl::Call& call) -> Result<admin::Answer> {
    const std::string line = admin::encode_request({1, call.cmd, call.args});
    NFR_HOLDS(line.find('\n') == line.size() - 1);
    return admin::Answer{};
  };
  out.read = [&file](const std::string&) -> Result<std::string> { return file; };
  out.output_of = [](const std::vector<std::string>&) { return std::nullopt; };
  out.show = [](const std::string&, const std::string&) { return true; };
  out.wait = [](Millis) { return false; };
  out.now = [] { return WallTime{}; };
  return out;
}

}  // namespace

void nfr::fuzz::one_input(std::string_view input) {
  std::vector<std::string> words;
  while (!input.empty() && words.size() < 16) {
    const std::size_t end = std::min(input.find('\n'), input.size());
    words.emplace_back(input.substr(0, end));
    input.remove_prefix(std::min(end + 1, input.size()));
  }
  // What is left after 16 words, or else the last word, is the text of every file.
  const std::string file = !input.empty() || words.empty() ? std::string(input) : words.back();
  const nfctl::Outcome outcome = nfctl::run(words, environment(file));
  NFR_HOLDS(outcome.exit_code >= 0 && outcome.exit_code <= 4);
  const std::size_t end = outcome.err.find('\n');
  NFR_HOLDS(printable(outcome.err.substr(0, end)));
  nfctl::complete(words, environment(file));
}
