// SPDX-License-Identifier: GPL-2.0-only
// TlsEndpoint: pumps between the engine and the raw endpoint, one chunk a direction. Runs on its loop's thread.
// Resetting stays the raw endpoint's business; nothing here knows a key or a policy.
#include "transport/tls_endpoint.hpp"

#include <algorithm>
#include <cerrno>

#include "base/assert.hpp"
#include "base/text.hpp"

namespace nfr::transport {

std::unique_ptr<Endpoint> make_endpoint(io::Loop& loop, Carrier carrier) {
  auto raw = RawEndpoint::adopt(loop, std::move(carrier.socket));
  if (!carrier.engine) return raw;
  return std::make_unique<TlsEndpoint>(loop, std::move(raw), std::move(carrier.engine));
}

TlsEndpoint::TlsEndpoint(io::Loop& loop, std::unique_ptr<RawEndpoint> raw, std::unique_ptr<tls::Engine> engine)
    : loop_(loop), raw_(std::move(raw)), engine_(std::move(engine)), soon_(loop_, [this] { deliver(); }) {
  raw_->set_events(this);
}

void TlsEndpoint::read_at_most(std::size_t bytes) {
  NFR_ASSERT(bytes > 0);
  read_up_to(std::min(bytes, kChunkBytes));
}

void TlsEndpoint::read_up_to(std::size_t bytes) {
  NFR_ASSERT(wanted_ == 0 && !closing_);
  plain_.reset();
  if (failed_) return;
  wanted_ = bytes;
  if (drained_ && !engine_broken_) return raw_->read();
  // The engine may hold bytes already; they must not be delivered from inside this call.
  soon_.arm(Millis{0});
}

/// Delivers what the engine holds, else asks the socket for more. Not called from inside a call of the owner.
void TlsEndpoint::deliver() {
  if (failed_ || closing_) return;
  if (engine_broken_) return fail(EPROTO);
  if (wanted_ == 0) return;
  plain_ = std::make_unique_for_overwrite<std::byte[]>(wanted_);
  auto got = engine_->read(std::span(plain_.get(), wanted_));
  if (!got) return fail(EPROTO);
  pump_output();  // a key update is answered
  if (got->bytes > 0) {
    wanted_ = 0;
    return events_->on_data(std::span(plain_.get(), got->bytes));
  }
  plain_.reset();
  drained_ = true;
  notified_ = notified_ || got->eof;
  raw_->read();  // more records; after close_notify: the FIN
}

void TlsEndpoint::on_data(std::span<const std::byte> wire) {
  if (notified_) return fail(EPROTO);  // bytes behind close_notify
  engine_->feed(wire);
  drained_ = false;
  raw_->release_data();
  deliver();
}

void TlsEndpoint::on_eof() {
  if (!notified_) return fail(ECONNRESET);  // cut off, by whoever sits on the path
  wanted_ = 0;
  events_->on_eof();
}

void TlsEndpoint::write(std::span<const std::byte> bytes) {
  NFR_ASSERT(!bytes.empty() && !writing_ && !finish_asked_ && !closing_);
  if (failed_) return;
  writing_ = true;
  unencrypted_ = bytes;
  pump_output();
}

/// Starts the next raw write if none is running: what the engine has to say, else the owner's next chunk.
void TlsEndpoint::pump_output() {
  if (raw_writing_ || raw_finishing_ || failed_ || closing_) return;
  if (!engine_->has_output() && !unencrypted_.empty()) encrypt_next();
  if (!engine_->has_output()) return;
  wire_ = engine_->take_output();
  raw_writing_ = true;
  raw_->write(as_bytes(wire_));
}

void TlsEndpoint::encrypt_next() {
  const auto chunk = unencrypted_.first(std::min(unencrypted_.size(), kChunkBytes));
  unencrypted_ = unencrypted_.subspan(chunk.size());
  if (!engine_->write(chunk)) report_broken_engine();
}

void TlsEndpoint::report_broken_engine() {
  engine_broken_ = true;
  soon_.arm(Millis{0});
}

void TlsEndpoint::on_written() {
  raw_writing_ = false;
  wire_ = {};
  pump_output();
  if (raw_writing_) return;
  if (finish_asked_) {
    raw_finishing_ = true;
    return raw_->finish();
  }
  if (writing_) {
    writing_ = false;
    events_->on_written();
  }
}

void TlsEndpoint::on_copied() {
  wire_ = {};
  if (writing_ && unencrypted_.empty()) events_->on_copied();
}

void TlsEndpoint::finish() {
  NFR_ASSERT(!writing_ && !finish_asked_ && !closing_);
  finish_asked_ = true;
  if (failed_) return;
  if (!engine_->close_notify()) return report_broken_engine();
  pump_output();
}

void TlsEndpoint::fail(int os_errno) {
  if (failed_ || closing_) return;
  failed_ = true;
  soon_.disarm();
  events_->on_error(os_errno);
}

void TlsEndpoint::close(CloseMode mode) {
  NFR_ASSERT(!closing_);
  closing_ = true;
  soon_.disarm();
  raw_->close(mode);
}

Carrier TlsEndpoint::detach() {
  NFR_ASSERT(idle());
  soon_.disarm();
  return {raw_->detach(), std::move(engine_)};
}

}  // namespace nfr::transport
