// SPDX-License-Identifier: GPL-2.0-only
// The framing of sessions over an endpoint in memory: the input's bytes arrive in pieces of every size, then the peer
// ends in order or breaks. What comes out is what a plain reading of the frames gives.
#include "transport/message_stream.hpp"

#include <optional>
#include <vector>

#include "fuzz/target.hpp"

namespace {

using namespace nfr;

constexpr std::size_t kMessageMax = 300;

/// An endpoint whose peer is the test: remembers what was asked, delivers only from step().
class MemoryEndpoint final : public transport::Endpoint {
 public:
  void set_events(transport::EndpointEvents* events) override { events_ = events; }
  void read() override { reading_ = true; }
  void read_at_most(std::size_t) override { reading_ = true; }
  void release_data() override {}
  void write(std::span<const std::byte>) override { writing_ = true; }
  void finish() override { finishing_ = true; }
  void watch_reset() override {}
  void close(transport::CloseMode) override { closing_ = true; }

  /// One event; false when the stream is gone or nothing is due.
  bool step(std::string_view& rest, bool breaks) {
    if (closing_) return events_->on_closed(), false;
    if (std::exchange(writing_, false)) return events_->on_written(), true;
    if (std::exchange(finishing_, false)) return events_->on_finished(), true;
    if (!reading_ || ended_) return false;
    reading_ = false;
    if (rest.empty()) {
      ended_ = true;
      breaks ? events_->on_error(104) : events_->on_eof();
      return true;
    }
    const std::size_t size = std::min<std::size_t>(rest.size(), 1 + static_cast<unsigned char>(rest[0]) % 17);
    // A copy of exactly this size, so that a read past it is seen.
    const std::vector<char> piece(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(size));
    rest.remove_prefix(size);
    events_->on_data(as_bytes({piece.data(), piece.size()}));
    return true;
  }

 private:
  transport::EndpointEvents* events_ = nullptr;
  bool reading_ = false, writing_ = false, finishing_ = false, closing_ = false, ended_ = false;
};

struct Owner final : transport::MessageEvents {
  void on_message(std::string_view payload) override { messages.emplace_back(payload); }
  void on_closed(std::string_view why) override { reason = why; }
  std::vector<std::string> messages;
  std::optional<std::string> reason;
};

struct Expected {
  std::vector<std::string> messages;
  bool whole = true;  ///< the bytes end with a message and break no rule
};

Expected read_plainly(std::string_view bytes) {
  Expected expected;
  while (bytes.size() >= 4) {
    std::size_t length = 0;
    for (const char c : bytes.substr(0, 4)) length = length << 8 | static_cast<unsigned char>(c);
    if (length == 0 || length > kMessageMax || bytes.size() < 4 + length) break;
    expected.messages.emplace_back(bytes.substr(4, length));
    bytes.remove_prefix(4 + length);
  }
  expected.whole = bytes.empty();
  return expected;
}

io::Loop& loop() {
  static const auto kLoop = io::Loop::create({.entries = 8, .buffer_count = 2, .buffer_bytes = 4096});
  NFR_HOLDS(kLoop.ok());
  return **kLoop;
}

}  // namespace

void nfr::fuzz::one_input(std::string_view input) {
  const bool breaks = input.starts_with('!');
  if (breaks) input.remove_prefix(1);
  const Expected expected = read_plainly(input);
  Owner owner;
  auto made = std::make_unique<MemoryEndpoint>();
  MemoryEndpoint& endpoint = *made;
  transport::MessageStream stream(loop(), std::move(made), owner, kMessageMax);
  stream.start();
  for (std::string_view rest = input; endpoint.step(rest, breaks);) {
  }
  NFR_HOLDS(owner.messages == expected.messages);
  NFR_HOLDS(owner.reason.has_value() && printable(*owner.reason));
  const bool orderly = *owner.reason == "closed by the peer";
  NFR_HOLDS(orderly == (expected.whole && !breaks));
}
