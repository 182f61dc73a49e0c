// SPDX-License-Identifier: GPL-2.0-only
// RawEndpoint: reads, writes and the ways a TCP connection can end. Runs on the thread of its loop.
//
// Two kernel facts shape it. A socket error is reported once: whoever meets it first (send, poll + SO_ERROR)
// consumes it, and a receive afterwards returns 0, which looks like FIN; so a 0 counts as EOF only if no error is
// known and TCP is not in state CLOSE. And received bytes survive an RST in the receive queue: after a broken send
// the endpoint reads on, and reports the error only where the bytes end or where nobody reads.
#include "transport/raw_endpoint.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.hpp"

namespace nfr::transport {
namespace {

// A receiver that never reads makes the kernel hold some MiB on every hop; 500 of them drive a machine of 24 GiB into
// TCP memory pressure, and then the windows of all others are cut. So a connection that moves more than a little is
// bound: to so much that may wait in the kernel beyond what its peer's window takes,
constexpr int kUnsentMax = 256 * 1024;
// and to this receive buffer (the kernel doubles the number) until it has moved so much that its far end plainly reads;
// then it gets the kernel's automatic one. Slow start needs as long.
constexpr int kFirstReceiveBuffer = 192 * 1024;
constexpr std::size_t kPeekMax = 4096;
// Of one splice; what a stuck receiver makes us keep. More moves a few percent faster.
constexpr std::size_t kSpliceMax = 128 * 1024;
constexpr std::uint32_t kLittleBytes = 64 * 1024;
constexpr std::uint32_t kProvenBytes = 2 * 1024 * 1024;

void set_int(int socket, int level, int name, int value) {
  // Best effort: on a connection that is already broken the first read says so.
  (void)::setsockopt(socket, level, name, &value, sizeof value);
}

/// Lifts SO_LINGER {1,0}.
void end_in_order(int socket) {
  const linger value{.l_onoff = 0, .l_linger = 0};
  (void)::setsockopt(socket, SOL_SOCKET, SO_LINGER, &value, sizeof value);
}

bool is_tcp(int socket) {
  int domain = 0;
  socklen_t length = sizeof domain;
  return ::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0 || domain != AF_UNIX;
}

int take_socket_error(int socket) {
  int value = 0;
  socklen_t length = sizeof value;
  if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &value, &length) != 0) return errno;
  return value;
}

/// splice(2) is not to be had here, which says nothing about the connection.
bool is_refusal(int os_errno) {
  return os_errno == EINVAL || os_errno == EPERM || os_errno == ENOSYS || os_errno == ENOMEM || os_errno == EINTR;
}

/// A peer's RST shows as EPIPE after its FIN and as ENOTCONN in shutdown(); for the owner it is one thing.
int as_reset(int os_errno) { return os_errno == EPIPE || os_errno == ENOTCONN ? ECONNRESET : os_errno; }

}  // namespace

std::unique_ptr<RawEndpoint> RawEndpoint::adopt(io::Loop& loop, Fd socket, const RawOptions& options) {
  NFR_ASSERT(socket.valid());
  return std::unique_ptr<RawEndpoint>(new RawEndpoint(loop, std::move(socket), options));
}

RawEndpoint::RawEndpoint(io::Loop& loop, Fd socket, const RawOptions& options)
    : loop_(loop),
      socket_(std::move(socket)),
      stall_limit_(std::chrono::duration_cast<ShortMillis>(options.stall)),
      reset_grace_(std::chrono::duration_cast<ShortMillis>(options.reset_grace)),
      soon_(loop, [this] { on_soon(); }),
      stall_(loop, [this] { on_stall(); }),
      grace_(loop, [this] { on_grace(); }) {}

RawEndpoint::~RawEndpoint() { NFR_ASSERT(!in_flight()); }

void RawEndpoint::read() {
  little_.reset();
  ask(Reading::kBytes);
}

void RawEndpoint::read_at_most(std::size_t bytes) {
  NFR_ASSERT(bytes > 0);
  if (!little_) little_ = std::make_unique_for_overwrite<Little>();
  little_wanted_ = static_cast<std::uint16_t>(std::min(bytes, little_->size()));
  ask(Reading::kLittle);
}

void RawEndpoint::await_readable() { ask(Reading::kReadable); }

void RawEndpoint::ask(Reading what) {
  NFR_ASSERT(reading_ == Reading::kNothing && !eof_ && !closing_);
  lease_.release();
  if (failed_) return;
  reading_ = what;
  submit_receive();
}

std::string RawEndpoint::peek(std::size_t most) const {
  NFR_ASSERT(!receive_.in_flight());
  std::array<char, kPeekMax> bytes;
  const ssize_t got = ::recv(socket_.get(), bytes.data(), std::min(most, bytes.size()), MSG_PEEK | MSG_DONTWAIT);
  return {bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
}

bool RawEndpoint::skip(std::size_t bytes) {
  NFR_ASSERT(!receive_.in_flight() && bytes <= kPeekMax);
  std::array<char, kPeekMax> dropped;
  const ssize_t got = ::recv(socket_.get(), dropped.data(), bytes, MSG_DONTWAIT);
  if (got > 0) count_received(static_cast<std::size_t>(got));
  return got == static_cast<ssize_t>(bytes);
}

void RawEndpoint::submit_receive() {
  if (resting_) return;
  switch (reading_) {
    case Reading::kNothing: return;
    case Reading::kBytes: return loop_.receive(receive_, socket_.get());
    case Reading::kLittle:
      return loop_.receive_into(receive_, socket_.get(), std::span(*little_).first(little_wanted_));
    case Reading::kReadable: return loop_.poll(receive_, socket_.get(), POLLIN);
  }
}

void RawEndpoint::on_received(io::Completion completion) {
  if (closing_) {
    completion.lease.release();
    return close_when_idle();
  }
  if (resting_) rest_if_idle();
  if (resting_ && completion.result == -ECANCELED) return;  // the owner's read stands until resume()
  const Reading asked = std::exchange(reading_, Reading::kNothing);
  if (failed_) return;
  if (completion.result < 0) return fail(broken_ != 0 ? broken_ : -completion.result);
  if (asked == Reading::kReadable) return events_->on_readable();
  if (completion.result == 0) {
    if (broken_ != 0 || !eof_is_real()) return fail(broken_ != 0 ? broken_ : ECONNRESET);
    eof_ = true;
    return events_->on_eof();
  }
  count_received(static_cast<std::size_t>(completion.result));
  if (broken_ != 0) grace_.arm(reset_grace_);  // the owner has to go on reading, or the error is due
  if (asked == Reading::kLittle)
    return events_->on_data(std::span(*little_).first(static_cast<std::size_t>(completion.result)));
  lease_ = std::move(completion.lease);
  events_->on_data(lease_.bytes());
}

void RawEndpoint::count_received(std::size_t bytes) {
  if (received_ >= kProvenBytes) return;
  const bool was_little = received_ < kLittleBytes;
  received_ += static_cast<std::uint32_t>(std::min<std::size_t>(bytes, kProvenBytes));
  if (was_little && received_ >= kLittleBytes) set_int(socket_.get(), SOL_SOCKET, SO_RCVBUF, kFirstReceiveBuffer);
  // Unlocks the buffer's size (Linux 5.14): the kernel tunes it from where it is.
  if (received_ >= kProvenBytes) set_int(socket_.get(), SOL_SOCKET, SO_BUF_LOCK, 0);
}

void RawEndpoint::count_sent(std::size_t bytes) {
  if (sent_ >= kLittleBytes) return;
  sent_ += static_cast<std::uint32_t>(std::min<std::size_t>(bytes, kLittleBytes));
  if (sent_ >= kLittleBytes) set_int(socket_.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsentMax);
}

/// Whether a receive of 0 was the peer's FIN and not an error that another call consumed.
bool RawEndpoint::eof_is_real() const {
  // After our own FIN nothing but receives could have met the error, and FIN + FIN ends in state CLOSE in order.
  if (finish_asked_) return true;
  if (!is_tcp(socket_.get())) return take_socket_error(socket_.get()) == 0;
  tcp_info info{};
  socklen_t length = sizeof info;
  if (::getsockopt(socket_.get(), IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return false;
  return info.tcpi_state != TCP_CLOSE;
}

void RawEndpoint::write(std::span<const std::byte> bytes) {
  NFR_ASSERT(!bytes.empty() && unsent_.empty() && !awaiting_writable_ && !finish_asked_ && !closing_);
  if (failed_) return;
  unsent_ = bytes;
  if (broken_ != 0) return soon_.arm(Millis{0});  // the error follows; on_written never does
  write_began_ = loop_.now();
  count_sent(bytes.size());
  submit_send();
}

void RawEndpoint::submit_send() {
  if (resting_) return;
  if (!stall_.armed() && copy_.empty()) stall_.arm(stall_limit_);
  if (awaiting_writable_) return loop_.poll(send_, socket_.get(), POLLOUT);
  loop_.send(send_, socket_.get(), unsent_);
}

void RawEndpoint::await_writable() {
  NFR_ASSERT(unsent_.empty() && !awaiting_writable_ && !finish_asked_ && !closing_);
  if (failed_) return;
  if (broken_ != 0) return soon_.arm(Millis{0});  // the error follows
  awaiting_writable_ = true;
  write_began_ = loop_.now();
  submit_send();
}

void RawEndpoint::on_awaited(int result) {
  if (result == -ECANCELED && resting_) return;  // stands until resume()
  bool stuck = std::exchange(stalled_, false) && result == -ECANCELED;
  if (result < 0 && !stuck) return note_broken(-result);
  // A ring reports that the peer ended its direction, asked or not, and at once: such a socket cannot be awaited.
  stuck |= result >= 0 && (result & (POLLOUT | POLLERR | POLLHUP)) == 0;
  awaiting_writable_ = false;
  stuck ? events_->on_stuck() : events_->on_writable();
}

void RawEndpoint::on_sent(io::Completion completion) {
  if (closing_) return close_when_idle();
  if (failed_) return;
  if (resting_) rest_if_idle();
  if (awaiting_writable_) return on_awaited(completion.result);
  const bool was_cancelled = std::exchange(stalled_, false) || resting_;
  if (completion.result < 0 && !(was_cancelled && completion.result == -ECANCELED)) {
    return note_broken(-completion.result);
  }
  if (completion.result > 0) unsent_ = unsent_.subspan(static_cast<std::size_t>(completion.result));
  if (unsent_.empty()) {
    copy_ = {};
    return events_->on_written();
  }
  if (resting_) return;
  const bool copied = was_cancelled && copy_.empty();
  if (copied) copy_unsent();
  loop_.send(send_, socket_.get(), unsent_);
  if (copied) events_->on_copied();
}

void RawEndpoint::copy_unsent() {
  copy_.assign(unsent_.begin(), unsent_.end());
  unsent_ = copy_;
}

void RawEndpoint::on_stall() {
  if (over() || !send_.in_flight() || !copy_.empty()) return;
  const auto waited = std::chrono::duration_cast<Millis>(loop_.now() - write_began_);
  if (waited < stall_limit_) return stall_.arm(stall_limit_ - waited);
  stalled_ = true;
  loop_.cancel(send_);
}

std::optional<std::size_t> RawEndpoint::splice_to(io::Pipe& pipe) {
  NFR_ASSERT(reading_ == Reading::kNothing && pipe.held == 0 && !closing_);
  if (failed_) return 0;
  const ssize_t got = ::splice(socket_.get(), nullptr, pipe.in.get(), nullptr, kSpliceMax, SPLICE_F_NONBLOCK);
  if (got < 0 && errno == EAGAIN) return 0;
  // Reported once: the read that follows would take it for an end.
  if (got < 0 && broken_ == 0 && !is_refusal(errno)) broken_ = as_reset(errno);
  if (got <= 0) return std::nullopt;
  pipe.held = static_cast<std::size_t>(got);
  count_received(pipe.held);
  if (broken_ != 0) grace_.arm(reset_grace_);
  return pipe.held;
}

/// The kernel holds back the last segment of a splice that ended in the middle, in hope of the rest. Where the send
/// buffer is smaller than a segment nothing would ever be sent.
void RawEndpoint::push() { set_int(socket_.get(), IPPROTO_TCP, TCP_NODELAY, 1); }

bool RawEndpoint::splice_from(io::Pipe& pipe) {
  NFR_ASSERT(unsent_.empty() && !awaiting_writable_ && !finish_asked_ && !closing_);
  while (pipe.held > 0 && !failed_ && broken_ == 0) {
    const ssize_t put = ::splice(pipe.out.get(), nullptr, socket_.get(), nullptr, pipe.held, SPLICE_F_NONBLOCK);
    if (put < 0 && errno == EAGAIN) return push(), true;
    if (put < 0 && is_refusal(errno)) return false;
    if (put <= 0) {
      broken_ = as_reset(put < 0 ? errno : EPIPE);
      soon_.arm(Millis{0});
      return true;
    }
    count_sent(static_cast<std::size_t>(put));
    pipe.held -= static_cast<std::size_t>(put);
  }
  return true;
}

void RawEndpoint::finish() {
  NFR_ASSERT(unsent_.empty() && !finish_asked_ && !closing_);
  finish_asked_ = true;
  if (failed_) return;
  if (broken_ == 0 && ::shutdown(socket_.get(), SHUT_WR) != 0) broken_ = as_reset(errno);
  soon_.arm(Millis{0});
}

void RawEndpoint::watch_reset() {
  NFR_ASSERT(!closing_);
  watching_ = true;
  if (!failed_ && !resting_ && !watch_.in_flight()) loop_.watch(watch_, socket_.get());
}

void RawEndpoint::on_watched(io::Completion completion) {
  if (closing_) return close_when_idle();
  if (resting_) rest_if_idle();
  if (failed_ || completion.result < 0) return;
  const int error = (completion.result & POLLERR) != 0 ? take_socket_error(socket_.get()) : 0;
  if (error != 0) return note_broken(error);
  // POLLHUP alone: both directions are shut. In order if we sent FIN; else an RST whose error a send has consumed.
  // A unix socket is hung up by any close of the peer: the receive says EOF.
  if ((completion.result & POLLHUP) != 0 && !is_tcp(socket_.get())) return;
  if ((completion.result & POLLHUP) != 0) return finish_asked_ ? void() : note_broken(ECONNRESET);
  if (!completion.more) watch_reset();  // the kernel ended it for want of room in its completion ring
}

/// The connection is dead; bytes received before may still be read.
void RawEndpoint::note_broken(int os_errno) {
  if (over()) return;
  if (broken_ == 0) broken_ = as_reset(os_errno);
  if (eof_) return fail(broken_);
  if (!send_.in_flight()) drop_unsent();
  if (reading_ == Reading::kNothing) grace_.arm(reset_grace_);  // a read in flight reports by itself
}

/// Nobody will send these bytes: their memory may be what a read of this very connection waits for, and that read is
/// what reports the error.
void RawEndpoint::drop_unsent() {
  awaiting_writable_ = false;
  if (unsent_.empty()) return;
  unsent_ = {};
  copy_ = {};
  events_->on_copied();
}

void RawEndpoint::on_grace() {
  if (!over() && reading_ == Reading::kNothing) fail(broken_);
}

void RawEndpoint::on_soon() {
  if (closing_) return close_when_idle();
  if (failed_) return;
  if (broken_ != 0) note_broken(broken_);
  if (finishing() && broken_ == 0) {
    finished_ = true;
    events_->on_finished();
  }
  if (over() || !resting_ || rested_ || in_flight()) return;
  if (broken_ != 0) return fail(broken_);  // whoever takes the socket could not learn of an error that is consumed
  rested_ = true;
  events_->on_rested();
}

void RawEndpoint::fail(int os_errno) {
  failed_ = true;
  stall_.disarm();
  grace_.disarm();
  events_->on_error(as_reset(os_errno));
}

void RawEndpoint::close(CloseMode mode) {
  NFR_ASSERT(!closing_);
  NFR_ASSERT(mode == CloseMode::kReset || (eof_ && finished_ && unsent_.empty() && !failed_));
  closing_ = true;
  mode_ = mode;
  stall_.disarm();
  grace_.disarm();
  cancel_all();
  if (in_flight()) return soon_.disarm();
  soon_.arm(Millis{0});
}

void RawEndpoint::cancel_all() {
  for (io::Operation* operation : {static_cast<io::Operation*>(&receive_), static_cast<io::Operation*>(&send_),
                                   static_cast<io::Operation*>(&watch_)}) {
    if (operation->in_flight()) loop_.cancel(*operation);
  }
}

/// The descriptor goes only when no request refers to it any more: then close() is the last reference and the RST
/// leaves at once.
void RawEndpoint::close_when_idle() {
  if (in_flight()) return;
  lease_.release();
  if (mode_ == CloseMode::kOrderly) end_in_order(socket_.get());
  socket_.reset();
  events_->on_closed();  // may destroy *this
}

void RawEndpoint::rest() {
  NFR_ASSERT(!over() && !resting_);
  resting_ = true;
  stall_.disarm();
  cancel_all();
  rest_if_idle();
}

/// Reported from the timer, behind whatever the last completion leads to.
void RawEndpoint::rest_if_idle() {
  if (!in_flight() && !rested_) soon_.arm(Millis{0});
}

void RawEndpoint::resume() {
  NFR_ASSERT(rested_);
  resting_ = rested_ = false;
  if (over()) return;
  if ((!unsent_.empty() || awaiting_writable_) && broken_ == 0) submit_send();
  submit_receive();
  if (watching_) watch_reset();
}

Fd RawEndpoint::release() {
  NFR_ASSERT(rested_ && !over());
  lease_.release();
  grace_.disarm();
  failed_ = true;  // nothing more is reported
  return std::move(socket_);
}

Fd RawEndpoint::detach() {
  NFR_ASSERT(!in_flight() && !closing_ && !finish_asked_);
  lease_.release();
  stall_.disarm();
  grace_.disarm();
  return std::move(socket_);
}

}  // namespace nfr::transport
