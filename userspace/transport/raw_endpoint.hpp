// SPDX-License-Identifier: GPL-2.0-only
// RawEndpoint: an Endpoint over a connected TCP socket. Used for visitors, targets and plain channels, and beneath
// TlsEndpoint. Lives on one loop's thread. SO_LINGER {1,0} stays on the socket until close(kOrderly), so that the death
// of the process is an RST for the peer. Knows nothing of flows or framing.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/fd.hpp"
#include "io/loop.hpp"
#include "transport/endpoint.hpp"

namespace nfr::transport {

struct RawOptions {
  /// A write that takes longer than this is copied to private memory (on_copied).
  Millis stall{100};
  /// How long a noticed RST waits for the owner to read on before it is reported.
  Millis reset_grace{20};
};

class RawEndpoint final : public Endpoint {
 public:
  /// Takes a connected, non-blocking TCP socket that has its options (net::set_options, where it was made). A unix
  /// stream socket works too, but has no RST: a close is an ordinary end for its peer unless bytes were left unread.
  static std::unique_ptr<RawEndpoint> adopt(io::Loop& loop, Fd socket, const RawOptions& options = {});
  /// Nothing may be in flight (asserted): after on_closed, after detach(), or before the first operation.
  ~RawEndpoint() override;

  void set_events(EndpointEvents* events) override { events_ = events; }
  void read() override;
  void read_at_most(std::size_t bytes) override;
  void release_data() override { lease_.release(); }
  void write(std::span<const std::byte> bytes) override;
  void finish() override;
  void watch_reset() override;
  void close(CloseMode mode) override;
  bool can_splice() const override { return true; }
  std::optional<std::size_t> splice_to(io::Pipe& pipe) override;
  bool splice_from(io::Pipe& pipe) override;
  void await_readable() override;
  void await_writable() override;
  bool can_rest() const override { return true; }
  void rest() override;
  void resume() override;
  std::span<const std::byte> unsent() const override { return unsent_; }
  Fd release() override;

  /// What has arrived, at most `most` bytes (4096 at most); it stays where it is. Not while a read is outstanding.
  std::string peek(std::size_t most) const;
  /// Drops so many bytes that peek() showed. False: they are not there, which only a broken connection explains.
  bool skip(std::size_t bytes);

  /// Gives the socket away, still with SO_LINGER {1,0}; only while nothing is in flight and nothing was watched.
  Fd detach();

 private:
  template <void (RawEndpoint::*Handler)(io::Completion)>
  class Call final : public io::Operation {
   public:
    explicit Call(RawEndpoint& owner) : owner_(owner) {}
    void complete(io::Completion completion) override { (owner_.*Handler)(std::move(completion)); }

   private:
    RawEndpoint& owner_;
  };

  RawEndpoint(io::Loop& loop, Fd socket, const RawOptions& options);
  enum class Reading : std::uint8_t { kNothing, kBytes, kLittle, kReadable };  ///< what the owner waits for

  void on_received(io::Completion completion);
  void on_sent(io::Completion completion);
  void on_awaited(int result);
  void push();
  void on_watched(io::Completion completion);
  void on_soon();
  void on_stall();
  void on_grace();

  void ask(Reading what);
  void submit_receive();
  void submit_send();
  void rest_if_idle();
  void cancel_all();
  bool finishing() const { return finish_asked_ && !finished_; }
  bool over() const { return failed_ || closing_; }
  bool in_flight() const { return receive_.in_flight() || send_.in_flight() || watch_.in_flight(); }
  void count_received(std::size_t bytes);
  void count_sent(std::size_t bytes);
  bool eof_is_real() const;
  void copy_unsent();
  void drop_unsent();
  void note_broken(int os_errno);
  void fail(int os_errno);
  void close_when_idle();

  using Little = std::array<std::byte, 128>;
  using ShortMillis = std::chrono::duration<std::int32_t, std::milli>;  // an idle connection is not much more than this

  io::Loop& loop_;
  Fd socket_;
  const ShortMillis stall_limit_;
  const ShortMillis reset_grace_;
  EndpointEvents* events_ = nullptr;

  io::Lease lease_;                    // bytes of the last on_data
  std::unique_ptr<Little> little_;     // bytes of the last read_at_most; null when the next read() began
  std::span<const std::byte> unsent_;  // rest of the write; in the caller's memory or in copy_
  std::vector<std::byte> copy_;
  Instant write_began_;

  std::uint32_t received_ = 0;  // no further than kProvenBytes and one read
  std::uint32_t sent_ = 0;      // no further than kLittleBytes and one write
  std::uint16_t little_wanted_ = 0;
  Reading reading_ = Reading::kNothing;
  bool awaiting_writable_ = false;
  bool eof_ = false;  // FIN was read
  bool finish_asked_ = false;
  bool finished_ = false;  // on_finished was delivered
  bool watching_ = false;
  bool resting_ = false;  // nothing is submitted; asked for by rest()
  bool rested_ = false;   // on_rested was delivered
  bool stalled_ = false;  // send_ was cancelled to copy its rest
  bool failed_ = false;   // on_error was delivered
  bool closing_ = false;
  CloseMode mode_ = CloseMode::kReset;
  int broken_ = 0;  // errno of an RST or timeout that is known but not reported

  Call<&RawEndpoint::on_received> receive_{*this};
  Call<&RawEndpoint::on_sent> send_{*this};
  Call<&RawEndpoint::on_watched> watch_{*this};
  io::Timer soon_;  // what must not happen inside the owner's call
  io::Timer stall_;
  io::Timer grace_;
};

}  // namespace nfr::transport
