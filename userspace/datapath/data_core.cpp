// SPDX-License-Identifier: GPL-2.0-only
// DataCore: accept -> wait -> flow -> gone, on the data thread. Every visitor's socket resets on close from the
// moment it is accepted; none is closed in order before its flow has ended in order.
#include "datapath/data_core.hpp"

#include <sys/socket.h>

#include "base/assert.hpp"
#include "base/log.hpp"

namespace nfr::datapath {
namespace {

net::Endpoint name_of(int socket, int (*get_name)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (get_name(socket, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return {};
  return net::Endpoint::from_sockaddr(storage);
}

constexpr int kThreadShift = 48;  // a VisitorRef's id: thread above, count below

}  // namespace

/// One listening socket with its multishot accept.
class DataCore::Listening final : public io::Operation {
 public:
  Listening(DataCore& core, core::MappingId mapping, Fd socket)
      : core_(core), mapping_(mapping), socket_(std::move(socket)), retry_(core.loop_, [this] { accept(); }) {}

  core::MappingId mapping() const { return mapping_; }
  void accept() { core_.loop_.accept(*this, socket_.get()); }

  void drop() {
    if (std::exchange(dropped_, true)) return;
    if (in_flight()) return core_.loop_.cancel(*this);
    retry_.handler = [this] { core_.on_listening_over(*this); };
    retry_.arm(Millis{0});
  }

  void complete(io::Completion completion) override {
    Fd accepted(completion.result >= 0 ? completion.result : -1);
    if (accepted.valid() && !dropped_) {
      core_.on_accepted(*this, std::move(accepted));
    } else if (accepted.valid()) {
      transport::set_reset_on_close(accepted.get());
    }
    if (completion.more) return;
    accepted.reset();
    if (dropped_) return core_.on_listening_over(*this);
    if (completion.result >= 0) return accept();
    spdlog::warn("accepting visitors of mapping {}: {}; trying again", mapping_.value,
                 Error::system("accept", -completion.result).message());
    retry_.arm(core_.options_.accept_pause);
  }

 private:
  DataCore& core_;
  const core::MappingId mapping_;
  Fd socket_;
  bool dropped_ = false;
  io::Timer retry_;
};

/// A visitor nobody has decided about: nothing is read from it, only its RST is noticed.
class DataCore::Waiting final : public transport::EndpointEvents {
 public:
  Waiting(DataCore& core, core::VisitorRef ref, Fd socket)
      : ref_(ref),
        core_(core),
        endpoint_(transport::RawEndpoint::adopt(core.loop_, std::move(socket), transport::kVisitorOptions)),
        timeout_(core.loop_, [this] { core_.on_waiting_gone(*this); }) {
    endpoint_->set_events(this);
    endpoint_->watch_reset();
    timeout_.arm(core.options_.waiting_timeout);
  }

  core::VisitorRef ref() const { return ref_; }
  bool leaving() const { return leaving_; }
  std::unique_ptr<transport::Endpoint> take() { return std::move(endpoint_); }

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
  std::unique_ptr<transport::Endpoint> endpoint_;
  io::Timer timeout_;
  bool leaving_ = false;
};

DataCore::DataCore(io::Loop& loop, const core::Crypto& crypto, const DataOptions& options, DataEvents& events)
    : loop_(loop), crypto_(crypto), options_(options), events_(events), soon_(loop, [this] { check_stopped(); }) {}

DataCore::~DataCore() { NFR_ASSERT(listeners_.empty() && waiting_.empty() && flows_.empty()); }

void DataCore::adopt(core::MappingId mapping, Fd listener) {
  if (stopping_) return;
  auto listening = std::make_unique<Listening>(*this, mapping, std::move(listener));
  Listening* const key = listening.get();
  listeners_.emplace(key, std::move(listening));
  key->accept();
}

void DataCore::drop(core::MappingId mapping) {
  for (auto& [key, listening] : listeners_) {
    if (listening->mapping() == mapping) listening->drop();
  }
}

void DataCore::on_accepted(Listening& listening, Fd socket) {
  if (stopping_ || waiting_.size() >= options_.waiting_max) return transport::set_reset_on_close(socket.get());
  const net::Endpoint from = name_of(socket.get(), ::getpeername);
  const net::Endpoint local = name_of(socket.get(), ::getsockname);
  const std::uint64_t id = (std::uint64_t{options_.thread} << kThreadShift) + ++last_visitor_;
  const core::VisitorRef ref{options_.thread, id};
  waiting_.emplace(id, std::make_unique<Waiting>(*this, ref, std::move(socket)));
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

void DataCore::start(core::VisitorRef visitor, transport::Carrier channel, core::FlowSpec spec) {
  NFR_ASSERT(channel.socket.valid() && spec.counters != nullptr && !flows_.contains(spec.id));
  const auto found = waiting_.find(visitor.id);
  if (stopping_ || found == waiting_.end() || found->second->leaving()) {
    transport::set_reset_on_close(channel.socket.get());
    return events_.flow_ended(spec.id, stopping_ ? core::FlowEnd::kShutdown : core::FlowEnd::kVisitorReset);
  }
  auto endpoint = found->second->take();
  waiting_.erase(found);
  const core::FlowId id = spec.id;
  auto flow =
      std::make_unique<RelayOpening>(loop_, crypto_, std::move(endpoint),
                                     transport::make_endpoint(loop_, std::move(channel), transport::kChannelOptions),
                                     std::move(spec), options_.answer_deadline, static_cast<RelayFlowEvents&>(*this));
  RelayOpening& started = *flow;
  flows_.emplace(id, std::move(flow));
  started.start();
}

void DataCore::cut(core::FlowId flow) {
  const auto found = flows_.find(flow);
  if (found != flows_.end()) found->second->cut(core::FlowEnd::kCut);
}

void DataCore::on_flow_refused(core::FlowId flow, proto::RefuseReason reason) {
  events_.flow_refused(flow, reason);
  forget(flow);
}

void DataCore::on_flow_ended(core::FlowId flow, core::FlowEnd end) {
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
  for (auto& [id, flow] : flows_) flow->cut(core::FlowEnd::kShutdown);
  soon_.arm(Millis{0});
}

void DataCore::check_stopped() {
  if (!stopping_ || !stopped_ || !listeners_.empty() || !waiting_.empty() || !flows_.empty()) return;
  soon_.disarm();
  auto done = std::exchange(stopped_, nullptr);
  done();
}

}  // namespace nfr::datapath
