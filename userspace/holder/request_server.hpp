// SPDX-License-Identifier: GPL-2.0-only
// The holder's half of the socketpair: reads requests of one relay process, acts on the listener table, replies with
// descriptors. Driven by the holder's poll loop. Lives through anything the relay sends.
#pragma once

#include <poll.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/fd.hpp"
#include "holder/listener_table.hpp"
#include "holder/message.hpp"

namespace nfr::holder {

class RequestServer {
 public:
  /// `table` must outlive the server. `admin_fd` is lent; `on_ready` is called for each READY of the relay.
  RequestServer(ListenerTable& table, int admin_fd, std::function<void()> on_ready)
      : table_(table), admin_fd_(admin_fd), on_ready_(std::move(on_ready)) {}

  /// Serves a new relay process; replies to the former one that wait are dropped.
  void attach(Fd channel);
  void detach();
  bool attached() const { return channel_.valid(); }

  /// What to poll for: POLLOUT alone while a reply waits for room, so that an unread reply costs one slot, not memory.
  pollfd poll_entry() const;
  /// Handles what poll() returned, at most 64 requests. False when the relay closed its end (then detached).
  bool serve(short revents);

 private:
  struct Answer {
    Reply reply;
    std::vector<int> fds;
  };

  void handle(std::span<const std::byte> packet);
  Answer act(const CheckedRequest& request);
  Answer open(const CheckedRequest& request);
  void refuse(std::span<const std::byte> packet, const Error& error);
  void send(Answer answer);
  bool try_send(const Answer& answer);

  ListenerTable& table_;
  int admin_fd_;
  std::function<void()> on_ready_;
  Fd channel_;
  std::optional<Answer> waiting_;
  std::uint64_t bad_count_ = 0;
};

}  // namespace nfr::holder
