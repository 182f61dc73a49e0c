// SPDX-License-Identifier: GPL-2.0-only
// Client: the command line's half of the admin API. Blocking, with deadlines; used by nfctl on its only thread.
// Does not know what a command means. Its errors are those of the way to the daemon; what the daemon itself
// refused comes back as Answer::error.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "admin/line_buffer.hpp"
#include "admin/message.hpp"
#include "base/clock.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"

namespace nfr::admin {

class Client {
 public:
  /// kDenied: the socket may not be opened; kUnavailable: nobody listens there; kTimeout: the daemon does not take
  /// connections. The message says what to type.
  static Result<Client> connect(const std::string& path, Millis timeout);

  /// One request and its answer. kTimeout, kUnavailable (the connection ended) or kProtocol. After an error the
  /// client cannot be used again.
  Result<Answer> call(const std::string& cmd, const nlohmann::json& args, Millis timeout);

 private:
  explicit Client(Fd socket);
  Status write_all(std::string_view bytes, Instant deadline);
  Result<std::string> read_line(Instant deadline);
  Status wait(short events, Instant deadline);

  Fd socket_;
  LineBuffer lines_;
  std::uint64_t next_id_ = 1;
};

}  // namespace nfr::admin
