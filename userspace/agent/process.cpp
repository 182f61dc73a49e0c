// SPDX-License-Identifier: GPL-2.0-only
#include "agent/process.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <set>

#include "admin/unix_socket.hpp"
#include "agent/commands.hpp"
#include "agent/exposes.hpp"
#include "agent/flows.hpp"
#include "agent/link.hpp"
#include "agent/relay_dial.hpp"
#include "agent/state.hpp"
#include "agent/targets.hpp"
#include "base/descriptors.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "control/agent.hpp"

namespace nfr::agent {
namespace {

constexpr Millis kTick{100};
constexpr Millis kStopTimeout{2000};
constexpr std::size_t kReservedDescriptors = 64;
constexpr int kExitRefused = 1;
constexpr int kExitConfiguration = 78;

class Process final : public control::AgentWorld {
 public:
  Process(const Options& options, State state, Membership membership)
      : options_(options),
        state_(std::move(state)),
        membership_(std::move(membership)),
        targets_(options.config.allow_targets, options.directories.state, clock_) {}

  Status start(std::size_t flow_count_max);
  int run() {
    loop_->run();
    return exit_code_;
  }

  // control::AgentWorld
  void dial_relay(const std::string& address) override;
  std::optional<proto::RefuseReason> open_channel(const proto::Open& open, core::SessionId session,
                                                  const core::SessionKeys& keys) override {
    return flows_->open(open, relay_, session, keys);
  }
  void probe(const proto::Probe& probe) override;
  bool allowed(const core::Target& target) const override { return targets_.allowed(target); }
  Status save_pins(const std::array<core::Pin, 2>& pins) override;
  void enrolled() override;
  void connected(const std::string& address, const proto::Welcome& welcome, Micros took) override;
  void disconnected(const std::string& reason, Millis retry_in) override;
  void notice(const std::string& text) override { spdlog::warn("relay: {}", text); }
  void give_up(const std::string& reason) override;
  void declared(const std::vector<proto::Wish>& wishes, const proto::Declared& outcome) override;

 private:
  void on_dialled(Result<RelayDial::Connected> result);
  Status make_parts(std::size_t flow_count_max);
  control::AgentSettings settings();
  core::Leg leg_min() const;
  std::optional<config::ProxyServer> proxy_for(const std::string& address) const;
  void open_socket();
  void probe_for_expose(const core::Target& target, core::ProxyHeader proxy, std::function<void(std::string)> done);
  nlohmann::json status() const;
  void watch_signals();
  void tick();
  void stop(int exit_code);

  const Options& options_;
  SystemClock clock_;
  SystemRandom random_;
  tls::OpenSslCrypto crypto_;
  State state_;
  Membership membership_;
  mutable Targets targets_;
  std::unique_ptr<io::Loop> loop_;
  std::unique_ptr<Resolver> resolver_;
  std::unique_ptr<Flows> flows_;
  std::unique_ptr<RelayDial> dial_;
  std::unique_ptr<Link> link_;
  std::unique_ptr<control::Agent> agent_;
  std::unique_ptr<io::Timer> ticker_;
  std::unique_ptr<io::Timer> deadline_;
  std::unique_ptr<Exposes> exposes_;
  std::unique_ptr<Commands> commands_;
  std::unique_ptr<admin::Server> server_;
  datapath::DialPlace relay_;  ///< of the present session; channels go there
  std::string address_;        ///< of the relay, as it was last tried
  std::string name_;           ///< as the relay calls this agent
  Instant since_{};            ///< connected or not connected
  bool connected_ = false;
  Fd signals_;
  io::CallbackOperation signal_;
  std::string last_reason_;
  std::set<std::string> told_;  ///< outcomes of wishes, printed already
  bool hinted_ = false;
  bool stopping_ = false;
  int exit_code_ = 0;
};

Status Process::start(std::size_t flow_count_max) {
  if (auto made = make_parts(flow_count_max); !made) return made;
  if (options_.proxy && leg_min() == core::Leg::kTls) {
    spdlog::info("through proxy {}: channels use leg tls", options_.proxy->text());
  }
  watch_signals();
  open_socket();
  ticker_ = std::make_unique<io::Timer>(*loop_, [this] { tick(); });
  ticker_->arm(kTick);
  std::fputs("ready\n", stderr);
  since_ = clock_.now();
  agent_->wish(exposes_->wishes());
  agent_->start();
  return {};
}

Status Process::make_parts(std::size_t flow_count_max) {
  auto loop = io::Loop::create(io::LoopOptions{.entries = 256, .buffer_count = 64, .choice = options_.config.io});
  if (!loop) return loop.error().context("key io");
  loop_ = std::move(*loop);
  if (const std::string& why = loop_->fallback_reason(); !why.empty()) {
    spdlog::info("io_uring is not used: {}; epoll is", why);
  }
  resolver_ = std::make_unique<Resolver>(*loop_);
  Flows::Hooks hooks;
  hooks.allowed = [this](const core::Target& target) { return allowed(target); };
  hooks.failed = [this](std::uint64_t number, proto::RefuseReason reason) { agent_->on_open_failed(number, reason); };
  hooks.visitor = [this](const VisitorNote& note) { exposes_->on_visitor(note); };
  flows_ = std::make_unique<Flows>(*loop_, *resolver_, crypto_, flow_count_max, std::move(hooks));
  agent_ = std::make_unique<control::Agent>(clock_, random_, *this, settings());
  std::vector<proto::Wish> lasting;
  for (const config::MappingTable& table : options_.config.mappings) {
    lasting.push_back({table.ports, table.target, table.leg, table.proxy});
  }
  exposes_ = std::make_unique<Exposes>(std::move(lasting), clock_,
                                       [this](std::vector<proto::Wish> wishes) { agent_->wish(std::move(wishes)); });
  return {};
}

control::AgentSettings Process::settings() {
  control::AgentSettings settings;
  settings.addresses = membership_.addresses;
  settings.instance = core::InstanceId{random_.u64() | 1};
  settings.software = fmt::format("nfagent {}", NFR_VERSION);
  settings.leg_min = leg_min();
  settings.reconnect_min = options_.config.reconnect_min;
  settings.reconnect_max = options_.config.reconnect_max;
  if (!membership_.token.empty()) settings.enroll = proto::Hello::Enroll{membership_.name, membership_.token};
  return settings;
}

// Somebody in between reads plain bytes, and a proxy may refuse or alter what is no TLS.
core::Leg Process::leg_min() const {
  const auto& addresses = membership_.addresses;
  const bool proxied = std::any_of(addresses.begin(), addresses.end(),
                                   [this](const std::string& address) { return proxy_for(address).has_value(); });
  return proxied ? core::Leg::kTls : options_.config.leg_min;
}

std::optional<config::ProxyServer> Process::proxy_for(const std::string& address) const {
  if (!options_.proxy) return std::nullopt;
  const std::size_t colon = address.rfind(':');
  std::string_view host = std::string_view(address).substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto port = net::parse_port(std::string_view(address).substr(colon + 1));  // the join line was checked
  if (config::no_proxy_names(options_.no_proxy, host, port ? *port : net::Port{})) return std::nullopt;
  return options_.proxy;
}

// Without it the agent serves all the same: only expose and status miss it.
void Process::open_socket() {
  const std::string& path = options_.directories.socket;
  std::error_code failed;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), failed);
  auto listener = admin::listen_unix(path, 0600);
  if (!listener) {
    return spdlog::warn("nfagent expose and status cannot reach this agent: {}", listener.error().message());
  }
  Commands::Hooks hooks;
  hooks.allowed = [this](const core::Target& target) { return targets_.check(target); };
  hooks.probe = [this](const core::Target& target, core::ProxyHeader proxy, std::function<void(std::string)> done) {
    probe_for_expose(target, proxy, std::move(done));
  };
  hooks.status = [this] { return status(); };
  commands_ = std::make_unique<Commands>(*exposes_, std::move(hooks));
  admin::ServerOptions server;
  server.commands = admin::agent_commands();
  server_ = std::make_unique<admin::Server>(*loop_, std::move(*listener), *commands_, std::move(server));
  server_->start();
}

void Process::probe_for_expose(const core::Target& target, core::ProxyHeader proxy,
                               std::function<void(std::string)> done) {
  flows_->probe(target, proxy, [done = std::move(done)](std::optional<proto::RefuseReason> refused, Micros) {
    done(refused ? std::string(proto::refuse_text(*refused)) : "");
  });
}

nlohmann::json Process::status() const {
  std::string allow = options_.config.allow_targets.text() + " (agent.toml)";
  if (const auto rules = state_.allowed_rules(); rules && !rules->empty()) {
    allow += fmt::format(", {} (nfagent allow)", fmt::join(*rules, ", "));
  }
  nlohmann::json out{{"connected", connected_},
                     {"relay", address_},
                     {"name", name_.empty() ? membership_.name : name_},
                     {"for_ms", std::chrono::duration_cast<Millis>(clock_.now() - since_).count()},
                     {"flows", flows_->count()},
                     {"ready_channels", flows_->kept_count()},
                     {"leg_min", core::leg_name(leg_min())},
                     {"allow", allow},
                     {"io", loop_->back_end()},
                     {"version", NFR_VERSION}};
  if (!loop_->fallback_reason().empty()) out["io_reason"] = loop_->fallback_reason();
  if (!connected_) out["reason"] = last_reason_.empty() ? "connecting" : last_reason_;
  if (const auto proxy = proxy_for(address_)) out["proxy"] = proxy->text();
  return out;
}

void Process::tick() {
  agent_->tick();
  exposes_->tick();
  ticker_->arm(kTick);
}

void Process::dial_relay(const std::string& address) {
  address_ = address;
  auto context = tls::Context::agent_session(membership_.identity, membership_.pins);
  if (!context) return loop_->post([this, error = context.error()] { agent_->on_dial_failed(error.message()); });
  dial_ = std::make_unique<RelayDial>(*loop_, *resolver_, *context, proxy_for(address),
                                      [this](Result<RelayDial::Connected> result) { on_dialled(std::move(result)); });
  dial_->start(address);
}

void Process::on_dialled(Result<RelayDial::Connected> result) {
  const auto finished = std::move(dial_);
  if (!result) return agent_->on_dial_failed(result.error().message());
  auto keys = result->endpoint->engine().export_session_keys();
  NFR_ASSERT(keys);  // the handshake is done
  relay_ = result->relay;
  link_ = std::make_unique<Link>(
      *loop_, std::move(result->endpoint), [this](std::string_view payload) { agent_->on_message(payload); },
      [this](std::string_view reason) {
        const std::string why(reason);
        const auto gone = std::move(link_);
        agent_->on_link_closed(why);
      });
  link_->start();
  agent_->on_connected(*link_, *keys);
}

void Process::probe(const proto::Probe& probe) {
  flows_->probe(probe.target, probe.proxy,
                [this, number = probe.number](std::optional<proto::RefuseReason> refused, Micros dial) {
                  agent_->on_probe_result(number, refused, dial);
                });
}

// Told once: the list is declared again at every login and with every expose that comes or goes.
void Process::declared(const std::vector<proto::Wish>& wishes, const proto::Declared& outcome) {
  std::set<std::string> lines;
  for (std::size_t i = 0; i < wishes.size(); ++i) {
    const proto::Declared::Outcome& one = outcome.outcomes[i];
    std::string line = one.error.empty()
                           ? fmt::format("{} -> {}", one.address, wishes[i].target.text())
                           : fmt::format("{} -> {}: {}", wishes[i].ports.text(), wishes[i].target.text(), one.error);
    const bool is_new = !told_.contains(line);
    if (is_new && one.error.empty()) fmt::print("{}\n", line);
    if (is_new && !one.error.empty()) spdlog::error("{}", line);
    lines.insert(std::move(line));
  }
  told_ = std::move(lines);
  std::fflush(stdout);
  exposes_->on_declared(wishes, outcome);
}

Status Process::save_pins(const std::array<core::Pin, 2>& pins) {
  membership_.pins = pins;
  return state_.save_pins(pins);
}

void Process::enrolled() {
  membership_.token.clear();
  const Status kept = state_.finish_join();
  if (!kept)
    spdlog::error("joined, but storing it failed: {}; after a restart this machine must join again",
                  kept.error().message());
}

void Process::connected(const std::string& address, const proto::Welcome& welcome, Micros took) {
  last_reason_.clear();
  name_ = welcome.name;
  connected_ = true;
  since_ = clock_.now();
  exposes_->on_connected();
  fmt::print("connected to {} as {} in {}  (relay key {}, agent key {})\n", address, welcome.name, human_duration(took),
             fingerprint(welcome.pins[0]), fingerprint(membership_.identity->pin()));
  if (!std::exchange(hinted_, true) && options_.verb == Verb::kJoin) {
    fmt::print(
        "This machine's own ports may be published. For other machines in this LAN: nfagent allow 192.168.1.0/24\n");
  }
  std::fflush(stdout);
}

void Process::disconnected(const std::string& reason, Millis retry_in) {
  // One line a cause: a relay that is down for a night does not fill the log.
  if (reason != last_reason_) spdlog::warn("not connected: {}; next attempt in {}", reason, human_duration(retry_in));
  last_reason_ = reason;
  flows_->drop_kept();
  if (std::exchange(connected_, false)) since_ = clock_.now();
  exposes_->on_disconnected(reason);
}

void Process::give_up(const std::string& reason) {
  std::fprintf(stderr, "error: the relay refused: %s\n", reason.c_str());
  state_.abandon_join();
  stop(kExitRefused);
}

void Process::watch_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);  // a terminal that closes does not end it
  signals_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  signal_.handler = [this](io::Completion completion) {
    if (completion.result > 0) stop(0);
  };
  loop_->poll(signal_, signals_.get(), POLLIN);
}

void Process::stop(int exit_code) {
  if (std::exchange(stopping_, true)) return;
  exit_code_ = exit_code;
  if (server_) ::unlink(options_.directories.socket.c_str());
  agent_->stop();
  deadline_ = std::make_unique<io::Timer>(*loop_, [this] { loop_->stop(); });
  deadline_->arm(kStopTimeout);
  flows_->stop([this] {
    // A moment for the goodbye to leave; the relay would notice the closed connection anyway.
    deadline_->arm(Millis{50});
  });
}

int refuse(const Error& error) {
  std::fprintf(stderr, "error: %s\n", error.message().c_str());
  return kExitConfiguration;
}

Result<Membership> membership_for(const Options& options, State& state) {
  if (options.verb == Verb::kRun) return state.load();
  const auto line = proto::decode_join_line(options.join_text);
  if (!line) return line.error();
  return state.begin_join(*line);
}

}  // namespace

int run_agent(const Options& options) {
  auto state = State::open(options.directories.state);
  if (!state) return refuse(state.error());
  auto membership = membership_for(options, *state);
  if (!membership) return refuse(membership.error());
  const std::size_t limit = raise_descriptor_limit();
  const std::size_t reserved = kReservedDescriptors + 2 * io::PipePool::count_for(limit);
  const std::size_t descriptors = std::max(limit, reserved + 2);
  // Lives as long as the process: what is in flight when the loop's run ends dies with it.
  auto* process = new Process(options, std::move(*state), std::move(*membership));
  const Status started = process->start((descriptors - reserved) / 2);
  if (!started) return refuse(started.error());
  const int exit_code = process->run();
  std::fflush(nullptr);
  ::_exit(exit_code);
}

}  // namespace nfr::agent
