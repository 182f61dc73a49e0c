// SPDX-License-Identifier: GPL-2.0-only
#include "holder/holder_client.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <cerrno>
#include <cstring>

#include "base/log.hpp"
#include "holder/fd_passing.hpp"

namespace nfr::holder {
namespace {

// 32 replies of 64 descriptors stay below what the kernel lets travel for one user (RLIMIT_NOFILE).
constexpr std::size_t kWindow = 32;
constexpr const char* kGone = "the holder process is gone";

}  // namespace

/// The one poll on the channel. Outlives the client where the loop still has it, then deletes itself.
class HolderClient::Poll final : public io::Operation {
 public:
  explicit Poll(HolderClient* client) : client_(client) {}
  void arm(io::Loop& loop, int fd) { loop.poll(*this, fd, POLLIN); }
  void orphan(io::Loop& loop) {
    client_ = nullptr;
    if (!in_flight()) {
      delete this;
      return;
    }
    loop.cancel(*this);
  }
  void complete(io::Completion) override {
    if (client_ == nullptr) {
      delete this;
    } else {
      client_->on_readable();
    }
  }

 private:
  HolderClient* client_;
};

HolderClient::HolderClient(io::Loop& loop, Fd channel, std::function<void()> on_holder_gone)
    : loop_(loop), channel_(std::move(channel)), on_holder_gone_(std::move(on_holder_gone)), poll_(new Poll(this)) {
  poll_->arm(loop_, channel_.get());
}

HolderClient::~HolderClient() { poll_->orphan(loop_); }

void HolderClient::open(const net::Endpoint& endpoint, ListenerKind kind, unsigned count, Opened done) {
  NFR_ASSERT(count >= 1 && count <= kSocketCountMax && kind != ListenerKind::kAdmin);
  submit(make_open(0, endpoint, kind, count), endpoint, std::move(done));
}

void HolderClient::open_admin(Opened done) { submit(make_open(0, {}, ListenerKind::kAdmin, 1), {}, std::move(done)); }

void HolderClient::close(const net::Endpoint& endpoint) { submit(make_close(0, endpoint), endpoint, {}); }

void HolderClient::retain_done() { submit(make_request(RequestType::kRetainDone, 0), {}, {}); }

void HolderClient::ready() { submit(make_request(RequestType::kReady, 0), {}, {}); }

void HolderClient::submit(Request request, const net::Endpoint& endpoint, Opened done) {
  if (!channel_.valid()) {
    if (done) done(Error(Code::kUnavailable, kGone));
    return;
  }
  request.request_id = next_id_++;
  queued_.push_back({request, endpoint, std::move(done)});
  send_queued();
}

void HolderClient::send_queued() {
  while (channel_.valid() && !queued_.empty() && under_way_.size() < kWindow) {
    Waiting& first = queued_.front();
    const int error = send_with_fds(channel_.get(), std::as_bytes(std::span(&first.request, 1)), {});
    // EAGAIN: an answer to what is under way makes room. Other errors: the poll tells that the holder is gone.
    if (error != 0) return;
    under_way_.emplace(first.request.request_id, std::move(first));
    queued_.pop_front();
  }
}

void HolderClient::on_readable() {
  while (receive_one()) {
  }
  if (!channel_.valid()) return gone();
  send_queued();
  poll_->arm(loop_, channel_.get());
}

// False when nothing more is there, or with the channel closed.
bool HolderClient::receive_one() {
  std::byte packet[sizeof(Reply) + 1];
  auto received = receive_with_fds(channel_.get(), packet);
  if (!received && received.error().code() == Code::kUnavailable) return false;
  if (!received || received->bytes == 0) {
    channel_.reset();
    return false;
  }
  const auto reply = check_reply({packet, received->bytes});
  if (reply && take_reply(*reply, std::move(received->fds), received->cut)) return true;
  spdlog::error("the holder broke the protocol: {}", reply ? "answer to no request" : reply.error().message());
  channel_.reset();
  return false;
}

bool HolderClient::take_reply(const Reply& reply, std::vector<Fd> fds, bool cut) {
  auto found = under_way_.extract(reply.request_id);
  if (found.empty()) return false;
  finish(std::move(found.mapped()), reply, std::move(fds), cut);
  return true;
}

void HolderClient::finish(Waiting waiting, const Reply& reply, std::vector<Fd> fds, bool cut) {
  if (!waiting.done) {
    const Code code = reply.status != 0 ? failure_of(reply).code : Code::kNotFound;
    // To close what is not held has no effect: late answers do.
    if (code != Code::kNotFound)
      spdlog::warn("the holder refused request {}: {}", waiting.request.type, code_name(code));
    return;
  }
  if (reply.status != 0) return waiting.done(describe(waiting.endpoint, failure_of(reply)));
  if (cut || fds.size() != reply.fd_count || fds.size() != waiting.request.count) {
    // The holder has opened it; without a descriptor here nobody would serve it.
    if (waiting.request.kind == static_cast<std::uint8_t>(ListenerKind::kPublic)) close(waiting.endpoint);
    return waiting.done(describe(waiting.endpoint, OpenFailure{Code::kExhausted, EMFILE, {}}));
  }
  waiting.done(std::move(fds));
}

void HolderClient::gone() {
  auto under_way = std::exchange(under_way_, {});
  auto queued = std::exchange(queued_, {});
  const Error error(Code::kUnavailable, kGone);
  for (auto& [id, waiting] : under_way) {
    if (waiting.done) waiting.done(error);
  }
  for (auto& waiting : queued) {
    if (waiting.done) waiting.done(error);
  }
  // A copy: the call may destroy *this.
  const auto call = on_holder_gone_;
  if (call) call();
}

}  // namespace nfr::holder
