// SPDX-License-Identifier: GPL-2.0-only
// TlsHandshake: one flight at a time, write before read. Runs on its loop's thread; holds at most one flight of the
// peer, which the engine bounds.
#include "transport/tls_handshake.hpp"

#include <cerrno>

#include "base/assert.hpp"
#include "base/text.hpp"

namespace nfr::transport {

TlsHandshake::TlsHandshake(io::Loop& loop, std::unique_ptr<RawEndpoint> raw, std::unique_ptr<tls::Engine> engine,
                           Done done)
    : loop_(loop),
      raw_(std::move(raw)),
      engine_(std::move(engine)),
      done_(std::move(done)),
      deadline_(loop, [this] { fail(Error(Code::kTimeout, "TLS handshake: no answer within the limit")); }),
      soon_(loop, [this] { step(); }) {
  raw_->set_events(this);
}

void TlsHandshake::start(Millis deadline, std::span<const std::byte> early) {
  if (!early.empty()) engine_->feed(early);
  deadline_.arm(deadline);
  soon_.arm(Millis{0});
}

void TlsHandshake::cancel() {
  fail(Error(Code::kUnavailable, "TLS handshake cancelled"));
  if (!closing_) close();
}

void TlsHandshake::step() {
  if (closing_ || error_) return;
  if (!complete_) {
    auto progress = engine_->handshake();
    if (!progress) return fail(progress.error());
    complete_ = *progress == tls::Engine::Progress::kDone;
  }
  if (flush()) return;
  if (complete_) return succeed();
  if (reading_) return;
  reading_ = true;
  raw_->read();
}

/// Whether a write is running now.
bool TlsHandshake::flush() {
  if (!wire_.empty()) return true;
  if (!engine_->has_output()) return false;
  wire_ = engine_->take_output();
  raw_->write(as_bytes(wire_));
  return true;
}

void TlsHandshake::succeed() {
  deadline_.disarm();
  auto done = std::move(done_);
  done(std::make_unique<TlsEndpoint>(loop_, std::move(raw_), std::move(engine_)));
}

void TlsHandshake::on_data(std::span<const std::byte> wire) {
  reading_ = false;
  engine_->feed(wire);
  raw_->release_data();
  step();
}

void TlsHandshake::on_written() {
  wire_.clear();
  if (error_) return close();
  step();
}

void TlsHandshake::on_eof() { fail(Error(Code::kUnavailable, "TLS handshake: the peer closed the connection")); }

void TlsHandshake::on_error(int os_errno) {
  fail(Error::system("TLS handshake", os_errno));
  if (!closing_) close();
}

/// Sends the alert if the engine has one and the socket is free for it; then closes.
void TlsHandshake::fail(Error error) {
  if (closing_ || error_) {
    // The deadline while an alert is stuck.
    if (!closing_) close();
    return;
  }
  error_ = std::move(error);
  if (wire_.empty() && flush()) return;
  close();
}

void TlsHandshake::close() {
  if (closing_) return;
  closing_ = true;
  deadline_.disarm();
  soon_.disarm();
  raw_->close(CloseMode::kReset);
}

void TlsHandshake::on_closed() {
  auto done = std::move(done_);
  done(std::move(*error_));
}

}  // namespace nfr::transport
