// SPDX-License-Identifier: GPL-2.0-only
#include "agent/flows.hpp"

#include "base/log.hpp"

namespace nfr::agent {
namespace {

constexpr Millis kProbeDeadline{2000};
constexpr std::size_t kProbesMax = 64;
constexpr Millis kStartDeadline{15'000};  // the relay sends START as soon as it has the channel

}  // namespace

// One channel with its events; leaves the table as its last act.
class Flows::Flow final : private datapath::AgentFlowEvents {
 public:
  Flow(Flows& owner, std::uint64_t number, datapath::AgentChannel channel, const datapath::AgentOpeningOptions& options,
       datapath::AgentOpening::Decide decide)
      : owner_(owner),
        number_(number),
        opening_(owner.loop_, owner.crypto_, std::move(channel), options, std::move(decide), *this) {}

  void start() { opening_.start(); }
  void cut() { opening_.cut(core::FlowEnd::kShutdown); }

 private:
  void on_flow_ready(core::FlowId, Micros) override {}
  void on_channel_failed(const Error& error) override {
    spdlog::warn("channel: {}", error.message());
    owner_.forget(number_);
  }
  void on_flow_refused(core::FlowId, proto::RefuseReason reason) override {
    spdlog::info("flow refused: {}", proto::refuse_text(reason));
    owner_.forget(number_);
  }
  void on_flow_ended(core::FlowId, core::FlowEnd) override { owner_.forget(number_); }

  Flows& owner_;
  std::uint64_t number_;
  datapath::AgentOpening opening_;
};

Flows::Flows(io::Loop& loop, const core::Crypto& crypto, std::size_t flow_count_max, Allowed allowed)
    : loop_(loop), crypto_(crypto), flow_count_max_(flow_count_max), allowed_(std::move(allowed)) {}

Flows::~Flows() = default;

// The relay may lie at START as well as at OPEN: both must name the same mapping, and the target is held against the
// allow list of this moment.
datapath::TargetDecision Flows::decide(const proto::Open& open, const proto::Start& start) const {
  datapath::TargetDecision decision;
  if (start.mapping == open.mapping && allowed_(open.target)) decision.target = open.target.endpoint;
  return decision;
}

std::optional<proto::RefuseReason> Flows::open(const proto::Open& open, const net::Endpoint& relay,
                                               core::SessionId session, const core::SessionKeys& keys) {
  if (flows_.size() >= flow_count_max_ || stopped_) return proto::RefuseReason::exhausted;
  datapath::AgentOpeningOptions options;
  options.start_deadline = kStartDeadline;
  const datapath::AgentChannel channel{relay, open.leg, {session, NFR_PREFACE_OPEN, open.number}, keys};
  auto flow = std::make_unique<Flow>(*this, ++last_, channel, options,
                                     [this, open](const proto::Start& start) { return decide(open, start); });
  Flow& kept = *flow;
  flows_[last_] = std::move(flow);
  kept.start();
  return std::nullopt;
}

void Flows::forget(std::uint64_t number) {
  flows_.erase(number);
  if (stopped_ && flows_.empty()) loop_.post(std::exchange(stopped_, nullptr));
}

void Flows::probe(const core::Target& target, Probed done) {
  if (probes_.size() >= kProbesMax) return done(proto::RefuseReason::exhausted, Micros{0});
  const std::uint64_t number = ++last_;
  auto dial =
      std::make_unique<datapath::Dial>(loop_, [this, number, done = std::move(done)](datapath::Dial::Outcome outcome) {
        const auto finished = std::move(probes_.at(number));
        probes_.erase(number);
        // The probe's connection ends by RST, which a service logs at most as a visitor that left.
        if (outcome.os_errno != 0) return done(proto::refuse_from_errno(outcome.os_errno), Micros{0});
        done(std::nullopt, outcome.took);
      });
  datapath::Dial& kept = *dial;
  probes_[number] = std::move(dial);
  kept.start(target.endpoint, kProbeDeadline);
}

void Flows::stop(std::function<void()> done) {
  stopped_ = std::move(done);
  for (auto& [number, flow] : flows_) flow->cut();
  if (flows_.empty()) loop_.post(std::exchange(stopped_, nullptr));
}

}  // namespace nfr::agent
