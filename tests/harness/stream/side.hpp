// SPDX-License-Identifier: GPL-2.0-only
// Side: one end of a test connection. Sends its direction as planned, checks the other, and tells the ledger how each
// ended. Driven by Engine on its only thread: on_ready() after epoll, on_timer() when a pause is over.
#pragma once

#include <chrono>
#include <functional>

#include "base/fd.hpp"
#include "stream/ledger.hpp"

namespace nfr::stream {

using Time = std::chrono::steady_clock::time_point;

class Side {
 public:
  /// What a side needs of its engine.
  struct Host {
    Ledger& ledger;
    Random& random;
    const Mixture& mixture;
    std::function<Side*(std::uint64_t key)> by_key;  ///< the side that sends with this key, if it is still there
    std::function<void(Side&)> update;               ///< interest or timer of a side changed
  };

  Side(Host& host, Role role, Fd socket, Time now);

  /// `plan` is drawn by the caller for clients; a server decides when it knows its client, or at once.
  void begin(const Plan& plan, Time now);
  void on_ready(std::uint32_t events, Time now);
  void on_timer(Time now);
  /// No progress for too long: counted, and reset.
  void give_up();

  int socket() const { return socket_.get(); }
  std::uint64_t key() const { return key_; }
  bool over() const { return !socket_.valid(); }
  std::uint32_t wanted_events(Time now) const;
  /// When on_timer is due; Time::max(): never.
  Time next_timer(Time now) const;
  Time last_progress() const { return last_progress_; }
  const Plan& plan() const { return sender().plan; }

 private:
  enum class Sending { kUndecided, kRunning, kFinished, kBroken };

  Sender& sender() const { return host_.ledger.sender(key_); }
  std::uint64_t allowance() const;
  bool may_send(Time now) const;
  bool may_receive(Time now) const;
  void send_some(Time now);
  bool send_once(Time now);
  void after_send(std::size_t count, Time now);
  void finish_sending(Time now);
  void receive_some(Time now);
  bool receive_once(Time now);
  void meet_peer(Time now);
  void decide_without_client(Time now);
  void on_received_end(int os_errno, Time now);
  void reset(Time now);
  void close_if_over();

  Host& host_;
  const Role role_;
  Fd socket_;
  const std::uint64_t key_;
  Receiver receiver_;
  Sending sending_ = Sending::kUndecided;
  bool receiving_ = true;
  bool broken_ = false;  ///< a send met an error; what recv says afterwards is no EOF
  bool met_ = false;
  Time send_after_{};
  Time receive_after_{};
  bool paused_ = false;  ///< the pause in the middle was taken
  Time last_progress_;
};

}  // namespace nfr::stream
