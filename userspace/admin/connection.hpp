// SPDX-License-Identifier: GPL-2.0-only
// Connection: one client of the admin socket, from accept to the last completion. Made and owned by Server, on the
// loop's thread. Reads while fewer than outstanding_max answers are owed, so a client that never reads costs that
// many answers and no more.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "admin/line_buffer.hpp"
#include "admin/message.hpp"
#include "admin/server.hpp"

namespace nfr::admin {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Server& server, std::uint64_t number, Fd socket, PeerCredentials peer);

  void start();
  /// Ends it now, answers not sent are lost; the server forgets it when nothing is in flight.
  void abort();
  /// An answer, from Reply. Late ones, after abort(), are dropped.
  void answer(std::optional<std::uint64_t> id, const Result<nlohmann::json>& outcome);

 private:
  enum class Input { kOpen, kEnded };  ///< kEnded: the client sent FIN, or a line no limit allows

  void advance();
  void take_requests();
  void take_request(const std::string& line);
  void dispatch(Request request);
  void end_input();
  void refuse_rest(std::string why);
  void read_more();
  void on_received(const io::Completion& completion);
  void write_more();
  void on_sent(const io::Completion& completion);
  void watch_for_hangup();
  void on_watched(const io::Completion& completion);
  void restart_idle();
  void on_idle();
  void leave_if_done();
  std::size_t outstanding() const { return at_work_ + answers_.size(); }

  Server& server_;
  std::uint64_t number_;
  Fd socket_;
  PeerCredentials peer_;
  io::CallbackOperation reading_;  ///< the receive; after the input ended, the wait for a hang-up
  io::CallbackOperation writing_;
  io::Timer idle_;
  LineBuffer lines_;
  std::array<char, 16 * 1024> chunk_;
  std::deque<std::string> answers_;  ///< the front one is being sent
  std::size_t sent_ = 0;             ///< bytes of the front one
  std::size_t at_work_ = 0;          ///< requests that the handler has
  Input input_ = Input::kOpen;
  bool aborted_ = false;
  bool advancing_ = false;
};

}  // namespace nfr::admin
