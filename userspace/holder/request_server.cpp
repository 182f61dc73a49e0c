// SPDX-License-Identifier: GPL-2.0-only
#include "holder/request_server.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <bit>
#include <cerrno>
#include <cstring>

#include "base/log.hpp"
#include "holder/fd_passing.hpp"

namespace nfr::holder {
namespace {

constexpr int kRequestsPerRound = 64;
constexpr std::size_t kReadBytes = sizeof(Request) + 1;  // one more, so that a longer packet shows

}  // namespace

void RequestServer::attach(Fd channel) {
  detach();
  channel_ = std::move(channel);
  bad_count_ = 0;
}

void RequestServer::detach() {
  waiting_.reset();
  channel_.reset();
}

pollfd RequestServer::poll_entry() const {
  return {.fd = channel_.get(), .events = static_cast<short>(waiting_ ? POLLOUT : POLLIN), .revents = 0};
}

bool RequestServer::serve(short revents) {
  if (waiting_ && (revents & POLLOUT) != 0 && try_send(*waiting_)) waiting_.reset();
  for (int round = 0; round < kRequestsPerRound && !waiting_ && channel_.valid(); ++round) {
    std::byte packet[kReadBytes];
    // No room for control data: the kernel closes any descriptor the relay would send.
    const ssize_t length = ::recv(channel_.get(), packet, sizeof packet, MSG_DONTWAIT);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0 && errno == EAGAIN) return true;
    // An empty packet looks like the end of the stream; POLLHUP tells them apart.
    const bool ended = length < 0 || (length == 0 && (revents & POLLHUP) != 0);
    if (ended) {
      detach();
      return false;
    }
    handle({packet, static_cast<std::size_t>(length)});
  }
  if ((revents & POLLHUP) != 0 && waiting_) detach();
  return attached();
}

void RequestServer::handle(std::span<const std::byte> packet) {
  const auto request = check_request(packet);
  if (!request) return refuse(packet, request.error());
  send(act(*request));
}

void RequestServer::refuse(std::span<const std::byte> packet, const Error& error) {
  // A relay gone wrong may send millions: powers of two are logged.
  if (std::has_single_bit(++bad_count_)) {
    spdlog::warn("bad message {} from the relay process: {}", bad_count_, error.message());
  }
  send({make_reply(request_id_of(packet), OpenFailure{error.code(), 0, {}}), {}});
}

RequestServer::Answer RequestServer::act(const CheckedRequest& request) {
  Answer answer{make_reply(request.request_id), {}};
  switch (request.type) {
    case RequestType::kOpenListeners: return open(request);
    case RequestType::kCloseListeners:
      if (!table_.close(request.endpoint)) {
        answer.reply = make_reply(request.request_id, OpenFailure{Code::kNotFound, 0, {}});
      }
      break;
    case RequestType::kRetainDone:
      if (const std::size_t closed = table_.close_unclaimed(); closed > 0) {
        spdlog::info("closed {} listeners that the new relay process did not claim", closed);
      }
      break;
    case RequestType::kReady: on_ready_(); break;
  }
  return answer;
}

RequestServer::Answer RequestServer::open(const CheckedRequest& request) {
  Answer answer{make_reply(request.request_id), {}};
  if (request.kind == ListenerKind::kAdmin) {
    answer.fds.push_back(admin_fd_);
  } else {
    const auto opened = table_.open(request.endpoint, request.kind, request.count);
    if (opened.failure) {
      spdlog::debug("{}", describe(request.endpoint, *opened.failure).message());
      return {make_reply(request.request_id, *opened.failure), {}};
    }
    answer.fds.assign(opened.sockets.begin(), opened.sockets.end());
  }
  answer.reply.fd_count = static_cast<std::uint32_t>(answer.fds.size());
  return answer;
}

void RequestServer::send(Answer answer) {
  if (!try_send(answer)) waiting_ = std::move(answer);
}

bool RequestServer::try_send(const Answer& answer) {
  const int error = send_with_fds(channel_.get(), std::as_bytes(std::span(&answer.reply, 1)), answer.fds);
  if (error == 0) return true;
  if (error == EAGAIN || error == ENOBUFS) return false;
  if (answer.fds.empty()) {
    // The relay is gone or going; poll() will say so.
    spdlog::debug("replying to the relay process: {}", std::strerror(error));
    return true;
  }
  // ETOOMANYREFS: too many descriptors under way. The relay learns of it and may ask again.
  return try_send({make_reply(answer.reply.request_id, OpenFailure{Code::kExhausted, error, {}}), {}});
}

}  // namespace nfr::holder
