// SPDX-License-Identifier: GPL-2.0-only
// nfctl: the operator's command line. Supplies the real environment to nfctl::run() and prints what it returns.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "admin/client.hpp"
#include "config/config_file.hpp"
#include "nfctl/app.hpp"
#include "nfctl/program_output.hpp"
#include "nfr/admin/admin.h"

namespace {

// `map` waits for the agent to dial the target, which has limits of its own below this.
constexpr nfr::Millis kConnectTimeout{5'000};
constexpr nfr::Millis kAnswerTimeout{30'000};
// A tool that waits for a lock, as iptables does, is not waited for long.
constexpr nfr::Millis kToolTimeout{5'000};

std::optional<std::string> variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

nfr::Result<nfr::admin::Answer> ask(const std::string& socket, const nfr::nfctl::Call& call) {
  auto client = nfr::admin::Client::connect(socket, kConnectTimeout);
  if (!client) return client.error();
  return client->call(call.cmd, call.args, kAnswerTimeout);
}

bool wants_colour() {
  const auto terminal = variable("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && !variable("NO_COLOR") && terminal && *terminal != "dumb";
}

bool print(std::FILE* stream, const std::string& text) {
  return std::fwrite(text.data(), 1, text.size(), stream) == text.size() && std::fflush(stream) == 0;
}

// Standard input is bounded like every file of mappings.
nfr::Result<std::string> read_input(const std::string& path) {
  return nfr::config::read_config_file({path == "-" ? "/dev/stdin" : path, true});
}

sigset_t ending_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

// The first wait blocks the signals: from then on they are looked for here, and only here.
bool wait_unless_ended(nfr::Millis time) {
  const sigset_t set = ending_signals();
  sigprocmask(SIG_BLOCK, &set, nullptr);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
  const timespec left{seconds.count(), std::chrono::nanoseconds(time - seconds).count()};
  return sigtimedwait(&set, nullptr, &left) < 0;
}

bool show(const std::string& out, const std::string& err) { return print(stdout, out) && print(stderr, err); }

}  // namespace

int main(int argc, char** argv) {
  const nfr::nfctl::Environment environment{
      .variable = variable,
      .exists = [](const std::string& path) { return ::access(path.c_str(), F_OK) == 0; },
      .call = ask,
      .root = ::geteuid() == 0,
      .view = {.colour = wants_colour(), .now = std::chrono::system_clock::now()},
      .read = read_input,
      .output_of = [](const auto& program) { return nfr::nfctl::program_output(program, kToolTimeout); },
      .terminal = ::isatty(STDOUT_FILENO) == 1,
      .show = show,
      .wait = wait_unless_ended,
      .now = [] { return std::chrono::system_clock::now(); },
  };
  const std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
  const auto outcome = nfr::nfctl::run(words, environment);
  const bool printed = print(stdout, outcome.out);
  if (!printed) std::fprintf(stderr, "error: standard output: %s\n", std::strerror(errno));
  print(stderr, outcome.err);
  return printed ? outcome.exit_code : NFR_EXIT_FAILED;
}
