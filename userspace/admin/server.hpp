// SPDX-License-Identifier: GPL-2.0-only
// Server: the daemon's half of the admin API. Accepts on a unix socket, reads one JSON request a line, hands it to a
// Handler and writes the answer. Runs on the control thread's loop and is used there only. Knows limits and framing;
// what a command means, and who may give it, is the Handler's business.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"
#include "io/loop.hpp"

namespace nfr::admin {

/// Who connected, by SO_PEERCRED: as of connect(), told by the kernel.
struct PeerCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  std::uint64_t connection = 0;  ///< counts up; the same for every request of one connection
};

/// Answers one request. On the loop's thread, at once or later, at most once (asserted). A client that left
/// meanwhile, or a server that closed, is fine: the answer is dropped. Dropping the Reply itself answers for it
/// with an error, so that no client waits for ever.
using Reply = std::function<void(Result<nlohmann::json>)>;

class Handler {
 public:
  virtual ~Handler() = default;
  /// `cmd` is one of ServerOptions::commands, `args` an object.
  virtual void handle(const std::string& cmd, const nlohmann::json& args, const PeerCredentials& peer, Reply reply) = 0;
  /// A connection that was admitted has ended, however; its requests are answered in vain from now on.
  virtual void on_gone(std::uint64_t connection) { (void)connection; }
};

/// The commands of nfrelayd and of nfagent, from the contracts.
std::vector<std::string_view> relay_commands();
std::vector<std::string_view> agent_commands();

struct ServerOptions {
  std::vector<std::string_view> commands = relay_commands();  ///< anything else is answered with an error
  std::size_t connections_max = 64;                           ///< one more is told so and closed
  std::size_t outstanding_max = 16;  ///< requests of a connection without a written answer; then reading stops
  Millis idle_timeout_ms{60'000};    ///< without a finished request or answer; a handler at work does not count
};

class Connection;

class Server {
 public:
  /// Takes a listening, non-blocking unix socket. Loop and handler must outlive the server.
  Server(io::Loop& loop, Fd listener, Handler& handler, ServerOptions options = {});
  /// Asserts that close() has finished.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void start();
  /// Ends every connection; `done` is called from the loop, once nothing is in flight any more. The server may be
  /// destroyed inside it.
  void close(std::function<void()> done);
  std::size_t connection_count() const { return connections_.size(); }

 private:
  friend class Connection;
  void accept_again();
  void on_accept(const io::Completion& completion);
  void admit(Fd socket);
  void forget(std::uint64_t number);  ///< by a connection with nothing in flight
  void finish_close();

  io::Loop& loop_;
  Fd listener_;
  Handler& handler_;
  ServerOptions options_;
  io::CallbackOperation accepting_;
  io::Timer retry_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Connection>> connections_;
  std::uint64_t next_number_ = 1;
  bool closing_ = false;
  std::function<void()> closed_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  ///< for work posted to the loop
};

}  // namespace nfr::admin
