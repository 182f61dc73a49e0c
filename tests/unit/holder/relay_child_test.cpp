// SPDX-License-Identifier: GPL-2.0-only
// The scripted relay process. A script is steps joined by commas; each writes a line to DIRECTORY/notes. It speaks
// to the holder with plain blocking calls, so that a mistake of HolderClient cannot hide one of the holder.
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <vector>

#include "holder/fd_passing.hpp"
#include "holder/message.hpp"
#include "holder/relay_process.hpp"
#include "relay_child.hpp"

namespace nfr::holder::test {
namespace {

struct Child {
  std::string directory;
  std::vector<Fd> listeners;

  void note(const std::string& line) const {
    std::ofstream(directory + "/notes", std::ios::app) << line << std::endl;
  }

  ReceivedPacket reply(Reply& into) const {
    pollfd entry{.fd = kRelayChannelFd, .events = POLLIN, .revents = 0};
    ::poll(&entry, 1, 10'000);
    auto received = receive_with_fds(kRelayChannelFd, std::as_writable_bytes(std::span(&into, 1)));
    return received ? std::move(*received) : ReceivedPacket{};
  }

  void ask(const std::string& name, const Request& request) {
    Reply answer{};
    ::send(kRelayChannelFd, &request, sizeof request, 0);
    auto received = reply(answer);
    note(name + " status=" + std::to_string(answer.status) + " fds=" + std::to_string(received.fds.size()));
    for (Fd& fd : received.fds) listeners.push_back(std::move(fd));
  }

  void open(const std::string& endpoint, unsigned count) {
    ask("open", make_open(7, *net::Endpoint::parse(endpoint), ListenerKind::kPublic, count));
  }

  // Serves one visitor: a line with this process's pid, then FIN.
  void serve_one() const {
    std::vector<pollfd> entries;
    for (const Fd& fd : listeners) entries.push_back({.fd = fd.get(), .events = POLLIN, .revents = 0});
    ::poll(entries.data(), entries.size(), 10'000);
    for (const pollfd& entry : entries) {
      const Fd visitor(::accept(entry.fd, nullptr, nullptr));
      if (!visitor.valid()) continue;
      const std::string text = std::to_string(::getpid());
      ::send(visitor.get(), text.data(), text.size(), MSG_NOSIGNAL);
      return note("served");
    }
    note("nobody came");
  }

  void facts() const {
    int signal = 0;
    ::prctl(PR_GET_PDEATHSIG, &signal);
    std::ofstream(directory + "/status") << read_text("/proc/self/status") << "PdeathSig: " << signal << std::endl;
    std::ofstream environment(directory + "/environ");
    for (char** entry = environ; *entry != nullptr; ++entry) environment << *entry << "\n";
    std::ofstream descriptors(directory + "/descriptors");
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code error;
      descriptors << entry.path().filename().string() << " " << std::filesystem::read_symlink(entry, error) << "\n";
    }
    note("facts");
  }
};

[[noreturn]] void wait_for_end() {
  for (;;) ::pause();
}

void step(Child& child, const std::string& name, const std::string& argument, const std::string& second) {
  if (name == "open") child.open(argument, static_cast<unsigned>(std::stoul(second)));
  if (name == "admin") child.ask("admin", make_open(5, {}, ListenerKind::kAdmin, 1));
  if (name == "close") child.ask("close", make_close(8, *net::Endpoint::parse(argument)));
  if (name == "retain") child.ask("retain", make_request(RequestType::kRetainDone, 9));
  if (name == "ready") child.ask("ready", make_request(RequestType::kReady, 10));
  if (name == "serve") child.serve_one();
  if (name == "facts") child.facts();
  if (name == "await") wait_until([&] { return std::filesystem::exists(child.directory + "/" + argument); });
  if (name == "ignore-term") ::signal(SIGTERM, SIG_IGN);
  if (name == "close-channel") ::close(kRelayChannelFd);
  if (name == "exit") ::_exit(std::stoi(argument));
  if (name == "die") ::raise(SIGKILL);
  if (name == "stay") {
    child.note("stay");
    wait_for_end();
  }
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

}  // namespace

int relay_child_main(int argc, char** argv) {
  Child child{argv[2], {}};
  const std::string lives = child.directory + "/lives";
  const auto life = static_cast<int>(read_text(lives).size());
  std::ofstream(lives, std::ios::app) << "x";
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  child.note("life " + std::to_string(life + 1) + " " +
             std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(now).count()));
  for (const std::string& text : split(argv[std::min(3 + life, argc - 1)], ',')) {
    auto parts = split(text, '=');
    parts.resize(3);
    step(child, parts[0], parts[1], parts[2]);
  }
  return 0;
}

}  // namespace nfr::holder::test
