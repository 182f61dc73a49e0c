// SPDX-License-Identifier: GPL-2.0-only
#include "agent/flows.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"
#include "proto/proxy_header.hpp"

#include <sys/socket.h>

namespace nfr::agent {
namespace {

constexpr Millis kProbeDeadline{2000};
constexpr std::size_t kProbesMax = 64;
constexpr Millis kYoung{1000};            // without keepalive
constexpr Millis kStartDeadline{15'000};  // the relay sends START as soon as it has the channel
constexpr Millis kWaitMax{15 * 60'000};   // of a channel whose visitor is not there yet

/// As the agent sees it: what core::flow_end_name() says is the relay's view.
std::string_view end_text(core::FlowEnd end) {
  switch (end) {
    case core::FlowEnd::kVisitorReset: return "reset by the visitor or the relay";
    case core::FlowEnd::kAgentReset: return "reset by the target";
    case core::FlowEnd::kShutdown: return "the agent stopped";
    default: return core::flow_end_name(end);
  }
}

}  // namespace

// One channel with its events; leaves the table as its last act.
class Flows::Flow final : private datapath::AgentFlowEvents {
 public:
  Flow(Flows& owner, std::uint64_t number, core::Target target, datapath::AgentChannel channel,
       const datapath::AgentOpeningOptions& options, bool kept, datapath::AgentOpening::Decide decide)
      : owner_(owner),
        number_(number),
        kept_(kept),
        target_(std::move(target)),
        opening_(owner.loop_, owner.crypto_, std::move(channel), options, std::move(decide), *this) {
    owner_.kept_ += kept_ ? 1 : 0;
  }
  ~Flow() override { owner_.kept_ -= kept_ ? 1 : 0; }
  bool kept() const { return kept_; }

  void start() { opening_.start(); }
  void cut() { opening_.cut(core::FlowEnd::kShutdown); }
  void keep_alive() { opening_.keep_alive(); }

 private:
  void on_flow_started(const proto::Start& start) override {
    owner_.kept_ -= std::exchange(kept_, false) ? 1 : 0;
    mapping_ = start.mapping;
    visitor_ = start.visitor;
    public_ = start.public_endpoint;
  }
  void on_flow_ready(core::FlowId, Micros) override {
    arrived_ = true;
    owner_.keep_alive_later(number_);
    note(What::kArrived, "");
  }
  void on_channel_failed(const Error& error) override {
    // That a channel waited for nothing is how it should be.
    spdlog::log(kept_ ? spdlog::level::debug : spdlog::level::warn, "channel: {}", error.message());
    owner_.forget(number_);
  }
  void on_flow_refused(core::FlowId, proto::RefuseReason reason) override {
    const std::string_view why = proto::refuse_text(reason);
    spdlog::info("visitor {} of {} refused: {}", visitor_.text(), target_.text(), why);
    note(What::kRefused, std::string(why));
    owner_.forget(number_);
  }
  void on_flow_ended(core::FlowId, core::FlowEnd end) override {
    // Named as seen from here: the channel's side is the visitor's.
    const std::string detail(end == core::FlowEnd::kFinished ? "" : end_text(end));
    if (arrived_) note(What::kLeft, detail);
    if (!arrived_) note(What::kRefused, "it left before the target answered");
    owner_.forget(number_);
  }
  using What = VisitorNote::What;
  void note(What what, std::string detail) {
    if (!owner_.hooks_.visitor) return;
    owner_.hooks_.visitor({mapping_, target_, visitor_, public_, what, std::move(detail),
                           opening_.counters()->in_bytes.load(std::memory_order_relaxed),
                           opening_.counters()->out_bytes.load(std::memory_order_relaxed)});
  }

  Flows& owner_;
  const std::uint64_t number_;
  bool kept_;  // its visitor is not there yet
  const core::Target target_;
  core::MappingId mapping_;
  net::Endpoint visitor_;
  net::Endpoint public_;
  bool arrived_ = false;
  datapath::AgentOpening opening_;
};

Flows::Flows(io::Loop& loop, Resolver& resolver, const core::Crypto& crypto, std::size_t flow_count_max, Hooks hooks)
    : loop_(loop),
      resolver_(resolver),
      crypto_(crypto),
      flow_count_max_(flow_count_max),
      hooks_(std::move(hooks)),
      keep_alive_timer_(loop, [this] { keep_alive(); }) {}

Flows::~Flows() = default;

void Flows::locate(const core::Target& target, const Located& done) {
  using Kind = core::Target::Kind;
  if (!hooks_.allowed(target)) {
    return done(Error(Code::kDenied, "target outside the allow list"), proto::RefuseReason::not_allowed);
  }
  if (target.kind == Kind::kUnix) return done(Places{{{}, target.name, {}}}, {});
  if (target.kind == Kind::kAddress) return done(Places{{target.endpoint, {}, {}}}, {});
  ++locating_;
  resolver_.look_up(target.name, [this, target, done](const Result<std::vector<net::IpAddress>>& found) {
    --locating_;
    if (!found) return done(found.error(), proto::RefuseReason::unknown_name);
    Places places;
    for (const net::IpAddress& address : *found) {
      const net::Endpoint endpoint{address, target.endpoint.port};
      if (hooks_.allowed(core::Target::of(endpoint))) places.push_back({endpoint, {}, {}});
    }
    if (!places.empty()) return done(std::move(places), {});
    spdlog::warn("target {}: none of its {} address(es) is in the allow list", target.text(), found->size());
    done(Error(Code::kDenied, "no address of the name is in the allow list"), proto::RefuseReason::not_allowed);
  });
}

// The relay may lie at START as well as at OPEN: both must name the same mapping, and the addresses are held against
// the allow list of this moment.
datapath::TargetDecision Flows::decide(const proto::Open& open, const proto::Start& start, const Places& places) const {
  datapath::TargetDecision decision;
  if (start.mapping != open.mapping || start.flags != 0) return decision;
  for (const datapath::DialPlace& place : places) {
    const bool still =
        place.unix_path.empty() ? hooks_.allowed(core::Target::of(place.endpoint)) : hooks_.allowed(open.target);
    if (still) decision.targets.push_back(place);
  }
  decision.prelude = proto::encode_proxy_header(open.proxy, start.visitor, start.public_endpoint);
  return decision;
}

std::optional<proto::RefuseReason> Flows::open(const proto::Open& open, const datapath::DialPlace& relay,
                                               core::SessionId session, const core::SessionKeys& keys) {
  // The last quarter is for visitors that are there.
  const std::size_t most = open.wait.count() > 0 ? flow_count_max_ - flow_count_max_ / 4 : flow_count_max_;
  if (load() >= most || stopped_) return proto::RefuseReason::exhausted;
  const datapath::AgentChannel channel{relay, open.leg, {session, NFR_PREFACE_OPEN, open.number}, keys};
  locate(open.target, [this, open, channel](Result<Places> places, proto::RefuseReason reason) {
    if (!places) return hooks_.failed(open.number, reason);
    if (stopped_) return hooks_.failed(open.number, proto::RefuseReason::exhausted);
    begin(open, channel, std::move(*places));
  });
  return std::nullopt;
}

void Flows::begin(const proto::Open& open, const datapath::AgentChannel& channel, Places places) {
  datapath::AgentOpeningOptions options;
  const bool kept = open.wait.count() > 0;
  options.start_deadline = kept ? std::min(open.wait, kWaitMax) : kStartDeadline;
  auto flow = std::make_unique<Flow>(
      *this, ++last_, open.target, channel, options, kept,
      [this, open, places = std::move(places)](const proto::Start& start) { return decide(open, start, places); });
  Flow& begun = *flow;
  flows_[last_] = std::move(flow);
  keep_alive_later(last_);
  begun.start();
}

/// The options cost four calls a connection, and most connections are over before they could serve.
void Flows::keep_alive_later(std::uint64_t number) {
  young_.emplace_back(loop_.now(), number);
  if (!keep_alive_timer_.armed()) keep_alive_timer_.arm(kYoung);
}

void Flows::keep_alive() {
  const Instant born = loop_.now() - kYoung;
  for (; !young_.empty() && young_.front().first <= born; young_.pop_front()) {
    const auto found = flows_.find(young_.front().second);
    if (found != flows_.end()) found->second->keep_alive();
  }
  if (young_.empty()) return;
  const auto left = std::chrono::ceil<Millis>(young_.front().first - born);
  keep_alive_timer_.arm(left);
}

void Flows::forget(std::uint64_t number) {
  flows_.erase(number);
  if (stopped_ && flows_.empty()) loop_.post(std::exchange(stopped_, nullptr));
}

void Flows::probe(const core::Target& target, core::ProxyHeader proxy, Probed done) {
  if (probes_.size() >= kProbesMax) return done(proto::RefuseReason::exhausted, Micros{0});
  locate(target, [this, proxy, done = std::move(done)](Result<Places> places, proto::RefuseReason reason) {
    if (!places) return done(reason, Micros{0});
    probe_next(std::make_shared<Places>(std::move(*places)), 0, proxy, done);
  });
}

// The probe's connection ends by RST, which a service logs at most as a visitor that left.
void Flows::probe_next(std::shared_ptr<Places> places, std::size_t index, core::ProxyHeader proxy, Probed done) {
  const std::uint64_t number = ++last_;
  auto on_dialled = [this, number, places, index, proxy, done](datapath::Dial::Outcome outcome) {
    const auto finished = std::move(probes_.at(number));
    probes_.erase(number);
    if (outcome.os_errno != 0 && index + 1 < places->size()) return probe_next(places, index + 1, proxy, done);
    if (outcome.os_errno != 0) return done(proto::refuse_from_errno(outcome.os_errno), Micros{0});
    // A service that waits for the header is told that nobody is behind this connection.
    const std::string header = proto::encode_proxy_local(proxy);
    if (!header.empty()) (void)::send(outcome.socket.get(), header.data(), header.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    done(std::nullopt, outcome.took);
  };
  auto dial = std::make_unique<datapath::Dial>(loop_, std::move(on_dialled));
  datapath::Dial& kept = *dial;
  probes_[number] = std::move(dial);
  kept.start((*places)[index], kProbeDeadline);
}

void Flows::drop_kept() {
  for (auto& [number, flow] : flows_) {
    if (flow->kept()) flow->cut();
  }
}

void Flows::stop(std::function<void()> done) {
  stopped_ = std::move(done);
  for (auto& [number, flow] : flows_) flow->cut();
  if (flows_.empty()) loop_.post(std::exchange(stopped_, nullptr));
}

}  // namespace nfr::agent
