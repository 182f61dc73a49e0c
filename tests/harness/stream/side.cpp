// SPDX-License-Identifier: GPL-2.0-only
#include "stream/side.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace nfr::stream {
namespace {

constexpr std::uint64_t kSlowBytes = 64 * 1024;  // a slow reader hurries after these
constexpr int kRoundsMax = 8;                    // sends or receives in a row before the others have a turn
alignas(64) std::array<std::byte, 1 << 20> buffer;

void set_linger_reset(int socket) {
  const linger value{.l_onoff = 1, .l_linger = 0};
  (void)::setsockopt(socket, SOL_SOCKET, SO_LINGER, &value, sizeof value);
}

}  // namespace

Side::Side(Host& host, Role role, Fd socket, Time now)
    : host_(host),
      role_(role),
      socket_(std::move(socket)),
      key_(host.ledger.open(host.random, role)),
      last_progress_(now) {
  receiver_.role = role;
  const int on = 1;
  (void)::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void Side::begin(const Plan& plan, Time now) {
  sender().plan = plan;
  sending_ = Sending::kRunning;
  if (plan.receive_buffer > 0)
    (void)::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &plan.receive_buffer, sizeof plan.receive_buffer);
  receive_after_ = now + std::chrono::milliseconds(plan.read_delay_ms);
  if (plan.size == 0 && plan.pause_ms == 0) after_send(0, now);
  if (!over()) host_.update(*this);
}

/// How far ping-pong lets this side go; a peer that does not play lifts the limit.
std::uint64_t Side::allowance() const {
  const Plan& own = plan();
  if (own.kind != Kind::kPingPong || !receiving_) return own.size;
  if (const Sender* peer = receiver_.peer_key ? host_.ledger.find(*receiver_.peer_key) : nullptr;
      peer != nullptr && peer->plan.kind != Kind::kPingPong)
    return own.size;
  const std::uint64_t answered = receiver_.received / own.block + (role_ == Role::kClient ? 1 : 0);
  return std::min(own.size, answered * own.block);
}

bool Side::may_send(Time now) const {
  const std::uint64_t sent = sender().sent;
  return sending_ == Sending::kRunning && now >= send_after_ && (sent < allowance() || sent == plan().size);
}

bool Side::may_receive(Time now) const { return receiving_ && now >= receive_after_; }

std::uint32_t Side::wanted_events(Time now) const {
  return (may_send(now) ? static_cast<std::uint32_t>(EPOLLOUT) : 0U) |
         (may_receive(now) ? static_cast<std::uint32_t>(EPOLLIN) : 0U);
}

Time Side::next_timer(Time now) const {
  Time next = Time::max();
  if (sending_ == Sending::kRunning && send_after_ > now) next = std::min(next, send_after_);
  if (receiving_ && receive_after_ > now) next = std::min(next, receive_after_);
  return next;
}

void Side::on_timer(Time now) {
  if (!over()) on_ready(0, now);
}

void Side::on_ready(std::uint32_t events, Time now) {
  // The connection broke: level-triggered epoll would repeat it until a pause is over.
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) (receiving_ ? receive_after_ : send_after_) = now;
  if (may_receive(now)) receive_some(now);
  if (!over() && may_send(now)) send_some(now);
  if (!over() && plan().reset_at_received && receiver_.received >= *plan().reset_at_received) reset(now);
  close_if_over();
  if (!over()) host_.update(*this);
}

void Side::send_some(Time now) {
  for (int round = 0; round < kRoundsMax && !over() && may_send(now); ++round) {
    if (!send_once(now)) return;
  }
}

bool Side::send_once(Time now) {
  Sender& self = sender();
  const Plan& own = self.plan;
  std::uint64_t end = std::min({allowance(), self.sent + own.write_size, self.sent + buffer.size()});
  if (own.reset_at_sent) end = std::min(end, *own.reset_at_sent);
  if (own.pause_ms > 0 && !paused_ && own.pause_at > self.sent) end = std::min(end, own.pause_at);
  const std::size_t count = end > self.sent ? static_cast<std::size_t>(end - self.sent) : 0;
  if (count == 0) {
    after_send(0, now);
    return false;
  }
  const auto piece = std::span(buffer).first(count);
  fill(key_, self.sent, piece);
  const bool with_fin = own.fin_with_data && end == own.size && !own.reset_at_sent;
  const ssize_t sent =
      ::send(socket_.get(), piece.data(), count, MSG_NOSIGNAL | MSG_DONTWAIT | (with_fin ? MSG_MORE : 0));
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (sent < 0) {
    sending_ = Sending::kBroken;
    broken_ = true;
    receive_after_ = now;
    return false;
  }
  self.hash.add(piece.first(static_cast<std::size_t>(sent)));
  after_send(static_cast<std::size_t>(sent), now);
  return static_cast<std::size_t>(sent) == count;
}

void Side::after_send(std::size_t count, Time now) {
  Sender& self = sender();
  self.sent += count;
  if (count > 0) last_progress_ = now;
  if (self.plan.reset_at_sent && self.sent >= *self.plan.reset_at_sent) return reset(now);
  if (self.plan.pause_ms > 0 && !paused_ && self.sent >= self.plan.pause_at) {
    paused_ = true;
    send_after_ = now + std::chrono::milliseconds(self.plan.pause_ms);
    last_progress_ = send_after_;
    return;
  }
  if (self.sent == self.plan.size) finish_sending(now);
}

void Side::finish_sending(Time now) {
  last_progress_ = now;
  if (::shutdown(socket_.get(), SHUT_WR) != 0) {
    sending_ = Sending::kBroken;
    broken_ = true;
    return;
  }
  sending_ = Sending::kFinished;
  host_.ledger.on_finished(key_);
}

void Side::receive_some(Time now) {
  for (int round = 0; round < kRoundsMax && !over() && may_receive(now); ++round) {
    if (!receive_once(now)) return;
  }
}

bool Side::receive_once(Time now) {
  const bool decided = sending_ != Sending::kUndecided;
  const std::size_t want = std::min<std::size_t>(decided ? plan().read_size : 4096, buffer.size());
  const ssize_t got = ::recv(socket_.get(), buffer.data(), want, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (got <= 0) {
    on_received_end(got < 0 ? errno : broken_ ? ECONNRESET : 0, now);
    return false;
  }
  last_progress_ = now;
  if (!host_.ledger.on_bytes(receiver_, std::span(buffer).first(static_cast<std::size_t>(got)))) {
    reset(now);
    return false;
  }
  if (receiver_.peer_key) meet_peer(now);
  if (!over() && plan().read_pause_us > 0 && receiver_.received < kSlowBytes && !broken_)
    receive_after_ = now + std::chrono::microseconds(plan().read_pause_us);
  return true;
}

/// The first time the peer is known: a server that waited decides, and the peer learns who this is.
void Side::meet_peer(Time now) {
  if (std::exchange(met_, true)) return;
  if (Side* peer = host_.by_key(*receiver_.peer_key); peer != nullptr && peer->receiving_) {
    host_.ledger.bind(peer->receiver_, key_);
    host_.update(*peer);
  }
  if (sending_ != Sending::kUndecided) return;
  begin(reply_plan(host_.random, host_.mixture, host_.ledger.sender(*receiver_.peer_key).plan), now);
}

void Side::decide_without_client(Time now) {
  if (sending_ == Sending::kUndecided) begin(server_plan(host_.random, host_.mixture), now);
}

void Side::on_received_end(int os_errno, Time now) {
  receiving_ = false;
  last_progress_ = now;
  if (os_errno == 0) {
    host_.ledger.on_eof(receiver_);
    return decide_without_client(now);
  }
  host_.ledger.on_error(receiver_, key_, std::strerror(os_errno));
  if (sending_ != Sending::kFinished) sending_ = Sending::kBroken;
}

void Side::reset(Time now) {
  sender().did_reset = true;
  last_progress_ = now;
  set_linger_reset(socket_.get());
  receiving_ = false;
  sending_ = Sending::kBroken;
  socket_.reset();
  host_.update(*this);
}

void Side::give_up() {
  host_.ledger.on_stuck(receiver_, key_);
  reset(last_progress_);
}

void Side::close_if_over() {
  if (over() || receiving_) return;
  if (sending_ != Sending::kFinished && sending_ != Sending::kBroken) return;
  socket_.reset();
  host_.update(*this);
}

}  // namespace nfr::stream
