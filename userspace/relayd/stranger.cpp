// SPDX-License-Identifier: GPL-2.0-only
#include "relayd/stranger.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "net/socket_names.hpp"

namespace nfr::relayd {
namespace {

constexpr std::size_t kBudgetBytes = 4096;  // before a ClientHello is whole
constexpr std::size_t kRecordHeaderBytes = 5;

}  // namespace

Stranger::Stranger(io::Loop& loop, Fd socket, Millis deadline, StrangerEvents& events)
    : loop_(loop),
      socket_(std::move(socket)),
      deadline_at_(loop.now() + deadline),
      events_(events),
      deadline_(loop, [this] { evict(); }) {
  deadline_.arm(deadline);
}

void Stranger::start() { receive_more(); }

void Stranger::receive_more() {
  // A preface is read to its last byte and no further: what follows belongs to the flow.
  const std::size_t missing = NFR_PREFACE_BYTES - std::min<std::size_t>(received_.size(), NFR_PREFACE_BYTES);
  const std::size_t want = state_ == State::kHello ? chunk_.size() : missing;
  loop_.receive_into(*this, socket_.get(), std::span(chunk_).first(want));
}

void Stranger::complete(io::Completion completion) {
  if (evicted_ || completion.result <= 0) return end();
  received_ += as_text(std::span(chunk_).first(static_cast<std::size_t>(completion.result)));
  on_bytes();
}

void Stranger::on_bytes() {
  if (state_ == State::kFirst) {
    const auto first = static_cast<unsigned char>(received_[0]);
    if (first == NFR_FIRST_BYTE_PREFACE)
      state_ = State::kPreface;
    else if (first == NFR_FIRST_BYTE_TLS)
      state_ = State::kHello;
    else
      return end();
  }
  if (state_ == State::kPreface && received_.size() == NFR_PREFACE_BYTES) {
    state_ = State::kOver;
    deadline_.disarm();
    return events_.on_channel(*this, transport::Carrier{std::move(socket_), nullptr}, as_bytes(received_));
  }
  if (state_ == State::kHello && hello_complete()) return begin_handshake();
  if (received_.size() >= kBudgetBytes) return end();
  receive_more();
}

// The first TLS record is whole. A ClientHello spread over several records is nothing our agents send; the engine
// judges it.
bool Stranger::hello_complete() const {
  if (received_.size() < kRecordHeaderBytes) return false;
  const auto high = static_cast<unsigned char>(received_[3]);
  const auto low = static_cast<unsigned char>(received_[4]);
  return received_.size() >= kRecordHeaderBytes + (static_cast<std::size_t>(high) << 8 | low);
}

void Stranger::begin_handshake() {
  state_ = State::kHandshake;
  from_ = net::peer_name(socket_.get()).value_or(net::Endpoint{});
  auto engine = events_.on_hello(*this);
  if (!engine) {
    spdlog::error("TLS for {}: {}", from_.text(), engine.error().message());
    return end();
  }
  auto raw = transport::RawEndpoint::adopt(loop_, std::move(socket_));
  handshake_ = std::make_unique<transport::TlsHandshake>(
      loop_, std::move(raw), std::move(*engine),
      [this](Result<std::unique_ptr<transport::TlsEndpoint>> result) { on_handshake(std::move(result)); });
  const auto left = std::chrono::duration_cast<Millis>(deadline_at_ - loop_.now());
  handshake_->start(std::max(left, Millis{1}), as_bytes(received_));
  received_.clear();
}

void Stranger::on_handshake(Result<std::unique_ptr<transport::TlsEndpoint>> result) {
  const auto finished = std::move(handshake_);  // lives to the end of this call
  if (!result) {
    if (!evicted_) spdlog::debug("handshake with {}: {}", from_.text(), result.error().message());
    state_ = State::kOver;
    return events_.on_over(*this);
  }
  endpoint_ = std::move(*result);
  if (evicted_) return end();
  if (endpoint_->engine().alpn() == NFR_ALPN_SESSION) {
    state_ = State::kOver;
    deadline_.disarm();
    return events_.on_session(*this, std::move(endpoint_));
  }
  state_ = State::kInnerPreface;
  exact_ = std::make_unique<transport::ExactIo>(loop_, *endpoint_);
  exact_->read(NFR_PREFACE_BYTES, Millis{0}, [this](transport::ExactIo::End end) { on_inner_preface(end); });
}

void Stranger::on_inner_preface(transport::ExactIo::End how) {
  if (how != transport::ExactIo::End::kDone || evicted_) return end();
  const std::string preface(as_text(exact_->bytes()));
  exact_.reset();
  // Our agents ask for no key update before their preface: whoever does is not worth waiting for.
  if (!endpoint_->idle()) return end();
  state_ = State::kOver;
  deadline_.disarm();
  events_.on_channel(*this, endpoint_->detach(), as_bytes(preface));
}

void Stranger::evict() {
  if (evicted_ || state_ == State::kOver) return;
  evicted_ = true;
  if (in_flight()) return loop_.cancel(*this);
  if (handshake_) return handshake_->cancel();
  end();
}

void Stranger::end() {
  deadline_.disarm();
  state_ = State::kOver;
  if (!endpoint_) {
    socket_.reset();  // SO_LINGER {1,0}: RST
    return events_.on_over(*this);
  }
  if (exact_) exact_->abandon();
  endpoint_->set_events(this);
  endpoint_->close(transport::CloseMode::kReset);
}

}  // namespace nfr::relayd
