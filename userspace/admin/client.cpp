// SPDX-License-Identifier: GPL-2.0-only
#include "admin/client.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "admin/unix_socket.hpp"
#include "base/text.hpp"
#include "nfr/admin/admin.h"

namespace nfr::admin {
namespace {

struct Words {
  const char* program;
  const char* unit;
};
Words words_of(Daemon daemon) {
  return daemon == Daemon::kRelay ? Words{"nfrelayd", "netferry-relay"} : Words{"nfagent", "netferry-agent"};
}

std::string how_to_start(const std::string& path, Daemon daemon) {
  if (daemon == Daemon::kAgent) {
    return "start it with nfagent run, or as a service with sudo systemctl start netferry-agent; or name the run "
           "directory of the one that runs with --run";
  }
  if (path == NFR_ADMIN_SOCKET_PATH) return "sudo systemctl start netferry-relay";
  return "start it, or name the socket of the one that runs: nfctl --socket PATH";
}

// Rights of this process, not of the account: a login from before `usermod` has them not.
bool in_group_netferry() {
  const group* entry = ::getgrnam("netferry");
  if (entry == nullptr) return false;
  if (::getegid() == entry->gr_gid) return true;
  std::array<gid_t, 1024> groups{};
  const int count = ::getgroups(static_cast<int>(groups.size()), groups.data());
  return count > 0 && std::find(groups.begin(), groups.begin() + count, entry->gr_gid) != groups.begin() + count;
}

Error explain_denied(const std::string& shown, Daemon daemon) {
  if (daemon == Daemon::kAgent) {
    return Error(Code::kDenied, fmt::format("{}: permission denied: this agent runs as another user: use sudo", shown));
  }
  if (in_group_netferry()) return Error(Code::kDenied, fmt::format("{}: permission denied: use sudo", shown));
  return Error(Code::kDenied, fmt::format("{}: permission denied; you are not in group netferry: sudo usermod -aG "
                                          "netferry $USER, or use sudo (the group counts from the next login on)",
                                          shown));
}

Error explain(const Error& error, const std::string& path, Daemon daemon) {
  const std::string shown = escape(path);
  const char* program = words_of(daemon).program;
  switch (error.os_errno()) {
    case EACCES:
    case EPERM: return explain_denied(shown, daemon);
    case ENOENT:
    case ENOTDIR:
      return Error(Code::kUnavailable,
                   fmt::format("{} is not running (no socket at {}): {}", program, shown, how_to_start(path, daemon)));
    case ECONNREFUSED:
      return Error(Code::kUnavailable, fmt::format("{} is not running (nobody listens at {}): {}", program, shown,
                                                   how_to_start(path, daemon)));
    default: return error;
  }
}

bool would_block(int os_errno) { return os_errno == EAGAIN || os_errno == EINTR; }
bool peer_gone(int os_errno) { return os_errno == EPIPE || os_errno == ECONNRESET; }

}  // namespace

Client::Client(Fd socket, Daemon daemon) : socket_(std::move(socket)), daemon_(daemon), lines_(NFR_ADMIN_ANSWER_MAX) {}

Result<Client> Client::connect(const std::string& path, Millis timeout, Daemon daemon) {
  Result<Fd> socket = connect_unix(path, std::max(timeout, Millis(1)));
  if (!socket) return explain(socket.error(), path, daemon);
  return Client(*std::move(socket), daemon);
}

Result<Answer> Client::call(const std::string& cmd, const nlohmann::json& args, Millis timeout) {
  const Instant deadline = std::chrono::steady_clock::now() + timeout;
  const auto id = ask(cmd, args, timeout);
  if (!id) return id.error();
  auto answer = next_answer(std::chrono::ceil<Millis>(deadline - std::chrono::steady_clock::now()));
  if (!answer) return answer;
  // An error without an id is about the connection, such as too many of them.
  const bool ours = answer->id == *id || (!answer->id && answer->error);
  if (!ours) return Error(Code::kProtocol, "the answer belongs to another request");
  return answer;
}

Result<std::uint64_t> Client::ask(const std::string& cmd, const nlohmann::json& args, Millis timeout) {
  const std::uint64_t id = next_id_++;
  const std::string request = encode_request({id, cmd, args});
  if (request.size() > NFR_ADMIN_REQUEST_MAX + 1) {
    return Error(Code::kInvalid, fmt::format("the request has {} bytes, at most {} are taken", request.size() - 1,
                                             NFR_ADMIN_REQUEST_MAX));
  }
  if (const Status sent = write_all(request, std::chrono::steady_clock::now() + timeout); !sent) return sent.error();
  return id;
}

Result<Answer> Client::next_answer(Millis timeout) {
  const Result<std::string> line = read_line(std::chrono::steady_clock::now() + timeout);
  if (!line) return line.error();
  return parse_answer(*line);
}

Status Client::wait(short events, Instant deadline) {
  const Words words = words_of(daemon_);
  for (;;) {
    const auto left = std::chrono::ceil<Millis>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0)
      return Error(Code::kTimeout,
                   fmt::format("{} does not answer (is it stuck? journalctl -u {})", words.program, words.unit));
    pollfd entry{socket_.get(), events, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(std::min<Millis::rep>(left.count(), 60'000)));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return Error::system("poll", errno);
  }
}

Status Client::write_all(std::string_view bytes, Instant deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    // A server that refused the connection said why before it closed: that is read next.
    if (peer_gone(errno)) return {};
    if (!would_block(errno)) return Error::system(fmt::format("sending to {}", words_of(daemon_).program), errno);
    if (Status ready = wait(POLLOUT, deadline); !ready) return ready;
  }
  return {};
}

Result<std::string> Client::read_line(Instant deadline) {
  const Words words = words_of(daemon_);
  std::array<char, 64 * 1024> chunk;
  for (;;) {
    if (auto line = lines_.next()) return *std::move(line);
    if (lines_.oversized()) return Error(Code::kProtocol, "the answer is longer than nfctl accepts");
    const ssize_t got = ::recv(socket_.get(), chunk.data(), chunk.size(), 0);
    if (got > 0) {
      lines_.append({chunk.data(), static_cast<std::size_t>(got)});
      continue;
    }
    if (got == 0 || peer_gone(errno)) {
      return Error(Code::kUnavailable, fmt::format("{} closed the connection without an answer (journalctl -u {})",
                                                   words.program, words.unit));
    }
    if (!would_block(errno)) return Error::system(fmt::format("reading from {}", words.program), errno);
    if (const Status ready = wait(POLLIN, deadline); !ready) return ready.error();
  }
}

}  // namespace nfr::admin
