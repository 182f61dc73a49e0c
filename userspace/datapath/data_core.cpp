// SPDX-License-Identifier: GPL-2.0-only
// DataCore: accept -> wait -> flow -> gone, on the data thread. Every visitor's socket resets on close from the
// moment it is accepted; none is closed in order before its flow has ended in order.
#include "datapath/data_core.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "io/accept_policy.hpp"
#include "net/socket_names.hpp"

namespace nfr::datapath {
namespace {

constexpr int kThreadShift = 48;      // a VisitorRef's id: thread above, count below
constexpr unsigned kAcceptTurn = 16;  // visitors of one listener before the others have their turn
constexpr unsigned kLook = 8;         // lonely visitors until it is looked whether there are more behind one
constexpr Millis kSeatPause{10};      // until seats are looked for again
constexpr Millis kReadyPause{2};      // until it is told that flows run
constexpr std::chrono::minutes kSaying{1};

}  // namespace

/// One listening socket. Visitors are accepted one by one, each after a seat was taken for it: a multishot accept would
/// take more out of the listen queue than there are seats.
class DataCore::Listening final : public io::Operation {
 public:
  Listening(DataCore& core, core::MappingId mapping, Fd socket)
      : core_(core), mapping_(mapping), socket_(std::move(socket)), later_(core.loop_, [this] { await(); }) {}

  core::MappingId mapping() const { return mapping_; }
  void await() { core_.loop_.poll(*this, socket_.get(), POLLIN); }

  /// At most `most`; then waits for more visitors, or for seats. Behind a lonely visitor there is nobody, and looking
  /// costs as much as accepting: so it is done only now and then, and every time while it finds somebody.
  void accept(unsigned most) {
    unsigned count = 0;
    while (count < most) {
      Seat seat(core_.options_.seats);
      if (!seat.taken()) return core_.on_no_seat(*this);
      sockaddr_storage from{};
      socklen_t length = sizeof from;
      Fd accepted(::accept4(socket_.get(), reinterpret_cast<sockaddr*>(&from), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (accepted.valid()) {
        crowded_ |= ++count > 1;
        core_.on_accepted(*this, std::move(accepted), net::Endpoint::from_sockaddr(from), std::move(seat));
        if (!crowded_ && ++lonely_ % kLook != 0) break;
      } else if (errno == EAGAIN) {
        crowded_ &= count > 1;
        break;
      } else if (io::judge_accept_error(errno) != io::AcceptVerdict::kAgain) {
        return fail(errno);
      }
    }
    await();
  }

  void drop() {
    if (std::exchange(dropped_, true)) return;
    core_.forget_seatless(*this);
    if (in_flight()) return core_.loop_.cancel(*this);
    later_.handler = [this] { core_.on_listening_over(*this); };
    later_.arm(Millis{0});
  }

  void complete(io::Completion) override {
    if (dropped_) return core_.on_listening_over(*this);
    accept(kAcceptTurn);
  }

 private:
  void fail(int error) {
    if (io::judge_accept_error(error) == io::AcceptVerdict::kPause) {
      core_.warn_short(error);
    } else {
      spdlog::warn("accepting visitors of mapping {}: {}; trying again", mapping_.value,
                   Error::system("accept", error).message());
    }
    later_.arm(core_.options_.accept_pause);
  }

  DataCore& core_;
  const core::MappingId mapping_;
  Fd socket_;
  bool dropped_ = false;
  bool crowded_ = false;
  unsigned lonely_ = 0;
  io::Timer later_;
};

/// A visitor nobody has decided about: nothing is read from it, only its RST is noticed.
class DataCore::Waiting final : public transport::EndpointEvents {
 public:
  Waiting(DataCore& core, core::VisitorRef ref, std::unique_ptr<transport::RawEndpoint> endpoint, Seat seat)
      : ref_(ref), core_(core), seat_(std::move(seat)), endpoint_(std::move(endpoint)), timeout_(core.loop_, [this] {
          core_.on_waiting_gone(*this);
        }) {
    endpoint_->set_events(this);
    endpoint_->watch_reset();
    timeout_.arm(core.options_.waiting_timeout);
  }

  core::VisitorRef ref() const { return ref_; }
  bool leaving() const { return leaving_; }
  std::unique_ptr<transport::RawEndpoint> take() { return std::move(endpoint_); }
  Seat take_seat() { return std::move(seat_); }

  void leave() {
    if (std::exchange(leaving_, true)) return;
    timeout_.disarm();
    endpoint_->close(transport::CloseMode::kReset);
  }

  void on_data(std::span<const std::byte>) override {}
  void on_eof() override {}
  void on_written() override {}
  void on_finished() override {}
  void on_error(int) override { core_.on_waiting_gone(*this); }
  void on_closed() override { core_.on_waiting_closed(*this); }

 private:
  const core::VisitorRef ref_;
  DataCore& core_;
  Seat seat_;
  std::unique_ptr<transport::RawEndpoint> endpoint_;
  io::Timer timeout_;
  bool leaving_ = false;
};

DataCore::DataCore(io::Loop& loop, const core::Crypto& crypto, const DataOptions& options, DataEvents& events)
    : loop_(loop),
      crypto_(crypto),
      options_(options),
      events_(events),
      seat_timer_(loop, [this] { look_for_seats(); }),
      ready_timer_(loop, [this] { tell_ready(); }),
      soon_(loop, [this] { check_stopped(); }) {
  NFR_ASSERT(options_.seats != nullptr);
}

DataCore::~DataCore() { NFR_ASSERT(listeners_.empty() && waiting_.empty() && flows_.empty() && lost_.empty()); }

void DataCore::adopt(core::MappingId mapping, Fd listener) {
  if (stopping_) return;
  auto listening = std::make_unique<Listening>(*this, mapping, std::move(listener));
  Listening* const key = listening.get();
  listeners_.emplace(key, std::move(listening));
  key->await();
}

void DataCore::drop(core::MappingId mapping) {
  for (auto& [key, listening] : listeners_) {
    if (listening->mapping() == mapping) listening->drop();
  }
}

void DataCore::on_no_seat(Listening& listening) {
  seatless_.push_back(&listening);
  if (!seat_timer_.armed()) seat_timer_.arm(kSeatPause);
}

void DataCore::forget_seatless(Listening& listening) { std::erase(seatless_, &listening); }

/// One visitor of each listener in turn, so that a busy one does not take every seat that becomes free.
void DataCore::look_for_seats() {
  for (std::size_t left = seatless_.size(); left > 0; --left) {
    Listening* const next = seatless_.front();
    seatless_.pop_front();
    next->accept(1);
    if (!seatless_.empty() && seatless_.back() == next) break;  // still no seat
  }
  if (!seatless_.empty()) seat_timer_.arm(kSeatPause);
}

/// The last resort: the plan is to have no more visitors than descriptors.
void DataCore::warn_short(int error) {
  if (loop_.now() < next_warning_) return;
  next_warning_ = loop_.now() + kSaying;
  io::log_accept_pause(error);
}

void DataCore::on_accepted(Listening& listening, Fd socket, const net::Endpoint& from, Seat seat) {
  if (stopping_ || waiting_.size() >= options_.waiting_max) return;  // RST
  const net::Endpoint local = net::local_name(socket.get()).value_or(net::Endpoint{});
  const std::uint64_t id = (std::uint64_t{options_.thread} << kThreadShift) + ++last_visitor_;
  const core::VisitorRef ref{options_.thread, id};
  auto endpoint = transport::RawEndpoint::adopt(loop_, std::move(socket));
  waiting_.emplace(id, std::make_unique<Waiting>(*this, ref, std::move(endpoint), std::move(seat)));
  events_.visitor_arrived(ref, listening.mapping(), from, local);
}

void DataCore::on_listening_over(Listening& listening) {
  listeners_.erase(&listening);
  check_stopped();
}

void DataCore::on_waiting_gone(Waiting& waiting) {
  if (waiting.leaving()) return;
  events_.visitor_gone(waiting.ref());
  waiting.leave();
}

void DataCore::on_waiting_closed(Waiting& waiting) {
  waiting_.erase(waiting.ref().id);
  check_stopped();
}

void DataCore::refuse(core::VisitorRef visitor) {
  const auto found = waiting_.find(visitor.id);
  if (found != waiting_.end()) found->second->leave();
}

/// That flows run is told a little later, together with what comes next: it wakes the control thread for nothing.
void DataCore::on_flow_ready(core::FlowId flow, Micros dial) {
  ready_.push_back({flow, dial});
  if (!ready_timer_.armed()) ready_timer_.arm(kReadyPause);
}

void DataCore::tell_ready() {
  for (const auto& [flow, dial] : ready_) events_.flow_ready(flow, dial);
  ready_.clear();
}

void DataCore::start(core::VisitorRef visitor, transport::Carrier channel, core::FlowSpec spec) {
  NFR_ASSERT(channel.socket.valid() && spec.counters != nullptr && !flows_.contains(spec.id));
  const auto found = waiting_.find(visitor.id);
  if (stopping_ || found == waiting_.end() || found->second->leaving()) {
    return events_.flow_ended(spec.id, stopping_ ? core::FlowEnd::kShutdown : core::FlowEnd::kVisitorReset);
  }
  auto endpoint = found->second->take();
  Flow flow{visitor, found->second->take_seat(), nullptr};
  waiting_.erase(found);
  const core::FlowId id = spec.id;
  flow.opening =
      std::make_unique<RelayOpening>(loop_, crypto_, std::move(endpoint), std::move(channel), std::move(spec),
                                     options_.answer_deadline, static_cast<RelayFlowEvents&>(*this));
  RelayOpening& started = *flow.opening;
  flows_.emplace(id, std::move(flow));
  started.start();
}

void DataCore::cut(core::FlowId flow) {
  const auto found = flows_.find(flow);
  if (found != flows_.end()) found->second.opening->cut(core::FlowEnd::kCut);
}

void DataCore::on_channel_lost(core::FlowId id, std::unique_ptr<transport::RawEndpoint> visitor) {
  const auto found = flows_.find(id);
  Flow flow = std::move(found->second);
  flows_.erase(found);
  RelayOpening* const key = flow.opening.get();
  lost_.emplace(key, std::move(flow.opening));
  auto waiting = std::make_unique<Waiting>(*this, flow.visitor, std::move(visitor), std::move(flow.seat));
  waiting_.emplace(flow.visitor.id, std::move(waiting));
  events_.channel_lost(id);
}

void DataCore::on_channel_over(RelayOpening& opening) {
  lost_.erase(&opening);
  check_stopped();
}

void DataCore::on_flow_refused(core::FlowId flow, proto::RefuseReason reason) {
  events_.flow_refused(flow, reason);
  forget(flow);
}

void DataCore::on_flow_ended(core::FlowId flow, core::FlowEnd end) {
  tell_ready();
  events_.flow_ended(flow, end);
  forget(flow);
}

void DataCore::forget(core::FlowId flow) {
  flows_.erase(flow);
  check_stopped();
}

void DataCore::stop(std::function<void()> done) {
  NFR_ASSERT(!stopping_);
  stopping_ = true;
  stopped_ = std::move(done);
  for (auto& [key, listening] : listeners_) listening->drop();
  for (auto& [id, waiting] : waiting_) waiting->leave();
  for (auto& [id, flow] : flows_) flow.opening->cut(core::FlowEnd::kShutdown);
  soon_.arm(Millis{0});
}

void DataCore::check_stopped() {
  if (!stopping_ || !stopped_ || !listeners_.empty() || !waiting_.empty() || !flows_.empty() || !lost_.empty()) return;
  soon_.disarm();
  auto done = std::exchange(stopped_, nullptr);
  done();
}

}  // namespace nfr::datapath
