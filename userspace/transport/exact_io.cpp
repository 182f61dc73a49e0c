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

void ExactIo::read(std::size_t count, Millis deadline, Done done) {
  NFR_ASSERT(count > 0);
  begin(deadline, std::move(done));
  buffer_.clear();
  count_ = count;
  endpoint_.read_at_most(count_);
}

void ExactIo::write(std::span<const std::byte> bytes, Millis deadline, Done done) {
  begin(deadline, std::move(done));
  buffer_.assign(as_text(bytes));
  endpoint_.write(as_bytes(buffer_));
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
  end(End::kDone);
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
