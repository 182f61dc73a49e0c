// SPDX-License-Identifier: GPL-2.0-only
// Client: the command line's half of the admin API. Blocking, with deadlines; used by nfctl, and by nfagent's commands
// that talk to a running agent, on their only thread. Does not know what a command means. Its errors are those of the
// way to the daemon; what the daemon itself refused comes back as Answer::error.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "admin/line_buffer.hpp"
#include "admin/message.hpp"
#include "base/clock.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"

namespace nfr::admin {

/// Whose socket it is, for the words of errors.
enum class Daemon { kRelay, kAgent };

class Client {
 public:
  /// kDenied: the socket may not be opened; kUnavailable: nobody listens there; kTimeout: the daemon does not take
  /// connections. The message says what to type.
  static Result<Client> connect(const std::string& path, Millis timeout, Daemon daemon = Daemon::kRelay);

  /// One request and its answer. kTimeout, kUnavailable (the connection ended) or kProtocol. After an error the
  /// client cannot be used again.
  Result<Answer> call(const std::string& cmd, const nlohmann::json& args, Millis timeout);
  /// call() in two steps, for who waits for other things too: the request's id, and the next answer, whosesoever.
  Result<std::uint64_t> ask(const std::string& cmd, const nlohmann::json& args, Millis timeout);
  Result<Answer> next_answer(Millis timeout);
  int descriptor() const { return socket_.get(); }  ///< to poll for input

 private:
  Client(Fd socket, Daemon daemon);
  Status write_all(std::string_view bytes, Instant deadline);
  Result<std::string> read_line(Instant deadline);
  Status wait(short events, Instant deadline);

  Fd socket_;
  Daemon daemon_;
  LineBuffer lines_;
  std::uint64_t next_id_ = 1;
};

}  // namespace nfr::admin
