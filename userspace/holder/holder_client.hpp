// SPDX-License-Identifier: GPL-2.0-only
// The relay's half of the socketpair: asks the holder for listeners. Control thread, on its io::Loop. Keeps a window
// of requests under way, so that neither side's queue fills, however many mappings come back after a restart.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <unordered_map>

#include "base/fd.hpp"
#include "holder/listener_source.hpp"
#include "holder/message.hpp"
#include "io/loop.hpp"

namespace nfr::holder {

class HolderClient final : public ListenerSource {
 public:
  /// `channel` is kRelayChannelFd. `on_holder_gone` is called once, from the loop, when the holder closed its end or
  /// broke the protocol; requests under way have failed with kUnavailable before. The relay exits then.
  /// Destroying the client cancels its poll; the loop must run one more round to finish that.
  HolderClient(io::Loop& loop, Fd channel, std::function<void()> on_holder_gone);
  ~HolderClient() override;

  void open(const net::Endpoint& endpoint, ListenerKind kind, unsigned count, Opened done) override;
  void open_admin(Opened done) override;
  void close(const net::Endpoint& endpoint) override;
  void retain_done() override;
  void ready() override;

 private:
  struct Waiting {
    Request request;
    net::Endpoint endpoint;
    Opened done;  // empty where nobody waits for the answer
  };
  class Poll;

  void submit(Request request, const net::Endpoint& endpoint, Opened done);
  void send_queued();
  void on_readable();
  bool receive_one();
  bool take_reply(const Reply& reply, std::vector<Fd> fds, bool cut);
  void finish(Waiting waiting, const Reply& reply, std::vector<Fd> fds, bool cut);
  void gone();

  io::Loop& loop_;
  Fd channel_;
  std::function<void()> on_holder_gone_;
  Poll* poll_;  // deletes itself once orphaned and complete
  std::uint64_t next_id_ = 1;
  std::deque<Waiting> queued_;
  std::unordered_map<std::uint64_t, Waiting> under_way_;
};

}  // namespace nfr::holder
