// SPDX-License-Identifier: GPL-2.0-only
// ExactIo: collects the bytes of one message in memory of its own. Runs on its loop's thread; never closes the
// endpoint and does not look at the bytes.
#include "transport/exact_io.hpp"

#include "base/assert.hpp"
#include "base/text.hpp"

namespace nfr::transport {

ExactIo::ExactIo(io::Loop& loop, Endpoint& endpoint)
    : endpoint_(endpoint), deadline_(loop, [this] { end(End::kTimeout); }) {}

void ExactIo::begin(Millis deadline, Done done) {
  NFR_ASSERT(!done_);
  done_ = std::move(done);
  endpoint_.set_events(this);
  if (deadline.count() > 0) deadline_.arm(deadline);
}

void ExactIo::begin_read(std::size_t count) {
  NFR_ASSERT(count > 0);
  buffer_.clear();
  count_ = count;
  endpoint_.read_at_most(count_);
}

void ExactIo::begin_write(std::span<const std::byte> bytes) {
  writing_.assign(as_text(bytes));
  endpoint_.write(as_bytes(writing_));
}

void ExactIo::read(std::size_t count, Millis deadline, Done done) {
  begin(deadline, std::move(done));
  begin_read(count);
}

void ExactIo::write(std::span<const std::byte> bytes, Millis deadline, Done done) {
  begin(deadline, std::move(done));
  begin_write(bytes);
}

void ExactIo::exchange(std::span<const std::byte> bytes, std::size_t count, Millis deadline, Done done) {
  begin(deadline, std::move(done));
  begin_write(bytes);
  begin_read(count);
}

void ExactIo::abandon() {
  deadline_.disarm();
  done_ = nullptr;
}

std::span<const std::byte> ExactIo::bytes() const { return as_bytes(buffer_); }

void ExactIo::on_data(std::span<const std::byte> bytes) {
  NFR_ASSERT(bytes.size() <= count_);
  buffer_ += as_text(bytes);
  count_ -= bytes.size();
  endpoint_.release_data();
  if (count_ > 0) return endpoint_.read_at_most(count_);
  end_if_done();
}

void ExactIo::on_written() {
  writing_.clear();
  end_if_done();
}

void ExactIo::end_if_done() {
  if (count_ == 0 && writing_.empty()) end(End::kDone);
}

void ExactIo::on_error(int os_errno) {
  errno_ = os_errno;
  end(End::kError);
}

void ExactIo::end(End end) {
  deadline_.disarm();
  if (!done_) return;
  auto done = std::exchange(done_, nullptr);
  done(end);  // may destroy *this
}

}  // namespace nfr::transport
