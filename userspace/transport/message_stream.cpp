// SPDX-License-Identifier: GPL-2.0-only
// MessageStream: one read and one write in flight, whole messages out. Runs on the thread of its loop.
// Ends by FIN only when both sides agreed to; every violation of the framing is an RST with a reason.
#include "transport/message_stream.hpp"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "base/assert.hpp"
#include "base/text.hpp"

namespace nfr::transport {
namespace {

constexpr Millis kLinger{2000};
constexpr std::size_t kHeadBytes = 4;

std::size_t read_length(std::string_view head) {
  std::size_t length = 0;
  for (std::size_t i = 0; i < kHeadBytes; ++i) length = (length << 8) | static_cast<unsigned char>(head[i]);
  return length;
}

void append_length(std::string& out, std::size_t length) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((length >> shift) & 0xff);
}

}  // namespace

MessageStream::MessageStream(io::Loop& loop, std::unique_ptr<Endpoint> endpoint, MessageEvents& events,
                             std::size_t message_max)
    : endpoint_(std::move(endpoint)),
      events_(events),
      message_max_(message_max),
      soon_(loop, [this] { finish_if_flushed(); }),
      linger_(loop, [this] { end(CloseMode::kReset); }) {
  endpoint_->set_events(this);
}

void MessageStream::start() {
  endpoint_->watch_reset();
  endpoint_->read();
}

void MessageStream::on_data(std::span<const std::byte> bytes) {
  if (closing_) return;
  if (!ending_) received_ += as_text(bytes);  // after close() the peer is read only to find its end
  endpoint_->release_data();
  parse();
  if (!closing_) endpoint_->read();
}

void MessageStream::parse() {
  parsing_ = true;
  while (!ending_ && !closing_ && take_message()) {
  }
  parsing_ = false;
}

/// Delivers the first message of received_; false when it is not complete or wrong.
bool MessageStream::take_message() {
  if (received_.size() < kHeadBytes) return false;
  const std::size_t length = read_length(received_);
  if (length == 0 || length > message_max_) {
    fail(fmt::format("protocol error: message of {} bytes, 1 to {} allowed", length, message_max_));
    return false;
  }
  if (received_.size() < kHeadBytes + length) return false;
  events_.on_message(std::string_view(received_).substr(kHeadBytes, length));
  received_.erase(0, kHeadBytes + length);
  return true;
}

void MessageStream::send(std::string_view payload) {
  NFR_ASSERT(!payload.empty());
  if (ending_ || closing_) return;
  if (writing_.size() + queued_.size() + kHeadBytes + payload.size() > kQueueBytesMax) {
    return fail("peer does not read");
  }
  append_length(queued_, payload.size());
  queued_ += payload;
  flush();
}

void MessageStream::flush() {
  if (closing_ || !writing_.empty() || queued_.empty()) return;
  writing_.swap(queued_);
  endpoint_->write(as_bytes(writing_));
}

void MessageStream::on_written() {
  writing_.clear();
  if (closing_) return;
  flush();
  finish_if_flushed();
}

void MessageStream::close() {
  if (ending_ || closing_) return;
  ending_ = true;
  reason_ = "closed by this side";
  linger_.arm(kLinger);
  soon_.arm(Millis{0});
}

void MessageStream::finish_if_flushed() {
  if (closing_ || !ending_ || finishing_ || !writing_.empty()) return;
  finishing_ = true;
  endpoint_->finish();
}

void MessageStream::on_finished() {
  finished_ = true;
  if (!closing_ && eof_) end(CloseMode::kOrderly);
}

void MessageStream::on_eof() {
  if (closing_) return;
  eof_ = true;
  if (finished_) return end(CloseMode::kOrderly);
  if (ending_) return;
  if (!received_.empty()) return fail("protocol error: the peer ended in the middle of a message");
  ending_ = true;
  reason_ = "closed by the peer";
  linger_.arm(kLinger);
  finish_if_flushed();
}

void MessageStream::on_error(int os_errno) {
  if (closing_) return;
  reason_ = ending_ && !reason_.empty() ? reason_ : std::string("connection lost: ") + std::strerror(os_errno);
  end(CloseMode::kReset);
}

void MessageStream::fail(std::string reason) {
  if (closing_) return;
  reason_ = std::move(reason);
  end(CloseMode::kReset);
}

void MessageStream::end(CloseMode mode) {
  if (closing_) return;
  closing_ = true;
  linger_.disarm();
  soon_.disarm();
  endpoint_->close(mode);
}

void MessageStream::on_closed() {
  NFR_ASSERT(!parsing_);
  const std::string reason = std::move(reason_);
  events_.on_closed(reason);  // may destroy *this
}

}  // namespace nfr::transport
