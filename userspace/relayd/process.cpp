// SPDX-License-Identifier: GPL-2.0-only
#include "relayd/process.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <thread>

#include "admin/server.hpp"
#include "base/descriptors.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "holder/relay_process.hpp"
#include "proto/preface.hpp"
#include "relayd/commands.hpp"
#include "relayd/plane.hpp"
#include "relayd/tunnel.hpp"
#include "store/sqlite_store.hpp"

namespace nfr::relayd {
namespace {

constexpr Millis kTick{100};
constexpr Millis kCount{1000};
constexpr std::size_t kControlDescriptors = 96;  // database, log, 64 clients of the control socket, holder, signals
constexpr std::size_t kDescriptorsOfThread = 4;  // ring or epoll, and its wake-ups

class Process {
 public:
  explicit Process(const Options& options) : options_(options), config_(options.config) {}
  Status start(const MakeListeners& make_listeners);
  void run() { loop_->run(); }

 private:
  Status open_state();
  Status open_data_plane();
  Status make_relay();
  void open_tunnel();
  void open_admin();
  void serve_if_complete();
  void tick();
  void count_descriptors();
  void watch_signals();
  void on_signal();
  void stop();
  void fail(const Error& error);
  control::RelaySettings settings() const;
  Result<std::vector<std::string>> reload();
  RelayFacts facts() const;
  std::optional<core::Key> psk_of(std::string_view identity) const;

  const Options& options_;
  config::RelayConfig config_;  ///< as last read
  SystemClock clock_;
  SystemRandom random_;
  tls::OpenSslCrypto crypto_;
  std::vector<std::string> hosts_;
  bool hosts_configured_ = false;  ///< from relay.toml, not from the default route
  unsigned workers_ = 1;
  std::size_t to_open_ = 0;
  bool stopping_ = false;
  Instant next_count_{};
  // In this order they are made, in the reverse order they go.
  std::unique_ptr<io::Loop> loop_;
  std::unique_ptr<holder::ListenerSource> listeners_;
  std::unique_ptr<core::StateStore> store_;
  std::unique_ptr<Keys> keys_;
  std::unique_ptr<Tunnel> tunnel_;
  std::unique_ptr<Plane> plane_;
  std::unique_ptr<control::Relay> relay_;
  std::unique_ptr<Commands> commands_;
  std::unique_ptr<admin::Server> admin_;
  std::unique_ptr<io::Timer> ticker_;
  Fd signals_;
  io::CallbackOperation signal_;
};

// Only an OPEN number that is outstanding has a PSK. Called inside a handshake, on this thread.
std::optional<core::Key> Process::psk_of(std::string_view identity) const {
  const auto channel = proto::parse_psk_identity(identity);
  if (!channel) return std::nullopt;
  const auto keys = relay_->flows().keys_for(channel->session, channel->number);
  if (!keys) return std::nullopt;
  return tls::channel_psk(crypto_, *keys, channel->number);
}

Status Process::open_state() {
  auto hosts = public_hosts(options_);
  if (!hosts) return hosts.error();
  hosts_ = std::move(*hosts);
  hosts_configured_ = !options_.config.public_hosts.empty();
  auto store = store::SqliteStore::open(options_.directories.state + "/relay.db");
  if (!store) return store.error();
  store_ = std::move(*store);
  auto keys = Keys::open(options_.directories.state, [this](std::string_view identity) { return psk_of(identity); });
  if (!keys) return keys.error();
  keys_ = std::move(*keys);
  return {};
}

Status Process::open_data_plane() {
  tunnel_ = std::make_unique<Tunnel>(*loop_, *keys_,
                                     TunnelOptions{.handshake_timeout = options_.config.handshake_timeout,
                                                   .handshake_count_max = options_.config.limits.handshake_count_max});
  plane_ = std::make_unique<Plane>(*loop_, *listeners_, *tunnel_);
  workers_ = options_.config.worker_count(std::thread::hardware_concurrency());
  datapath::DataOptions data;
  // Control decides about waiting visitors; the data plane's own limit only stands behind it.
  // Each waiting visitor may cost its agent's session one OPEN at once: all together must fit the session's queue.
  data.waiting_max = std::max<std::size_t>(16'384 / workers_, 64);
  data.waiting_timeout = options_.config.open_timeout + options_.config.agent_grace + Millis{2000};
  return plane_->start_threads(workers_, data, {.choice = options_.config.io}, crypto_);
}

control::RelaySettings Process::settings() const {
  control::RelaySettings settings;
  settings.session = {config_.heartbeat, config_.handshake_timeout};
  settings.flow.open_timeout = settings.flow.pool.open_timeout = config_.open_timeout;
  settings.flow.agent_grace = config_.agent_grace;
  settings.flow.flow_count_max = config_.limits.flow_count_max;
  settings.flow.pool.age = config_.pool_age;
  settings.flow.pool.count_max = config_.limits.pool_count_max;
  // The channels asked for must not push each other, or a login, out of the handshakes that run at once.
  const std::size_t handshakes = config_.limits.handshake_count_max;
  settings.flow.tls_asked_max = std::clamp<std::size_t>(handshakes / 4, 1, settings.flow.tls_asked_max);
  settings.flow.pool.tls_asked_max = std::clamp<std::size_t>(handshakes / 8, 1, settings.flow.pool.tls_asked_max);
  const net::Port port = options_.config.listen.front().port;
  for (const std::string& host : hosts_) {
    settings.join_addresses.push_back(
        fmt::format("{}:{}", host.find(':') != std::string::npos ? "[" + host + "]" : host, port.value));
  }
  settings.public_host = hosts_.front();
  return settings;
}

/// What takes effect only with a restart is named, and stays as it was.
Result<std::vector<std::string>> Process::reload() {
  auto read = config::load_relay_config(options_.config_file);
  if (!read) return read.error();
  std::vector<std::string> waiting;
  const config::RelayConfig& old = options_.config;
  if (read->listen != old.listen) waiting.emplace_back("listen");
  if (read->user != old.user) waiting.emplace_back("user");
  if (read->workers != old.workers) waiting.emplace_back("workers");
  if (read->io != old.io) waiting.emplace_back("io");
  if (read->handshake_timeout != old.handshake_timeout) waiting.emplace_back("handshake_timeout_ms");
  if (read->limits.handshake_count_max != old.limits.handshake_count_max) {
    waiting.emplace_back("limits.handshake_count_max");
  }
  if (read->paths != old.paths) waiting.emplace_back("state_dir, run_dir, bpffs_dir, socket");
  if (!read->public_hosts.empty()) {
    hosts_ = read->public_hosts;
    hosts_configured_ = true;
  } else if (hosts_configured_) {
    waiting.emplace_back("public");
  }
  config_ = std::move(*read);
  relay_->reconfigure(settings());
  commands_->set_facts(facts());
  spdlog::info("{} was read again{}", options_.config_file.path,
               waiting.empty() ? "" : fmt::format("; after a restart: {}", fmt::join(waiting, ", ")));
  return waiting;
}

Status Process::make_relay() {
  relay_ = std::make_unique<control::Relay>(
      control::Relay::Seams{clock_, random_, crypto_, *store_, *keys_, *plane_, *plane_}, settings());
  tunnel_->set_relay(relay_.get());
  plane_->set_relay(relay_.get());
  commands_ = std::make_unique<Commands>(*relay_, *keys_, clock_, facts());
  commands_->reload = [this] { return reload(); };
  commands_->io_statistics = [this] { return plane_->statistics(); };
  return relay_->start();
}

RelayFacts Process::facts() const {
  RelayFacts facts;
  facts.address = hosts_.front();
  facts.address_doubt = public_host_doubt(hosts_, hosts_configured_, options_.config_file.path);
  if (!facts.address_doubt.empty()) facts.missing.push_back(facts.address_doubt);
  facts.single = options_.single;
  facts.workers = workers_;
  facts.back_end = fmt::format("{} ({} data thread{})", loop_->back_end(), workers_, workers_ == 1 ? "" : "s");
  if (!loop_->fallback_reason().empty()) {
    facts.missing.push_back(fmt::format("io_uring is not used: {}; epoll is", loop_->fallback_reason()));
  }
  if (options_.single && ::geteuid() != 0) {
    facts.missing.push_back("not root: public ports above 1023 only, and a restart closes them; run nfrelayd as root");
  } else if (options_.single) {
    facts.missing.push_back(
        "--single: one process with all of root's rights faces the network, and a crash closes the public ports; start "
        "nfrelayd without --single");
  }
  return facts;
}

Status Process::start(const MakeListeners& make_listeners) {
  auto loop = io::Loop::create({.choice = options_.config.io});
  if (!loop) return loop.error().context("key io");
  loop_ = std::move(*loop);
  listeners_ = make_listeners(*loop_, [] {
    // Nobody holds the listeners any more: a successor is being started. Flows end by RST (SO_LINGER 0).
    std::fputs("the holder is gone; the relay process ends\n", stderr);
    ::_exit(1);
  });
  Status ready = open_state();
  if (ready) ready = open_data_plane();
  if (ready) ready = make_relay();
  if (!ready) return ready;
  count_descriptors();
  watch_signals();
  ticker_ = std::make_unique<io::Timer>(*loop_, [this] { tick(); });
  ticker_->arm(kTick);
  to_open_ = options_.config.listen.size() + 1;
  open_tunnel();
  open_admin();
  return {};
}

void Process::tick() {
  plane_->sweep();
  if (loop_->now() >= next_count_) count_descriptors();
  relay_->tick();
  const control::FlowBook& flows = relay_->flows();
  const control::DescriptorPlan& plan = relay_->descriptors().plan();
  tunnel_->set_stranger_count_max(plan.strangers_max(flows.all().size(), flows.pool().held()));
  ticker_->arm(kTick);
}

void Process::count_descriptors() {
  next_count_ = loop_->now() + kCount;
  control::DescriptorFacts facts;
  facts.limit = descriptor_limit();
  const std::size_t of_pipes = 2 * io::PipePool::count_for(facts.limit);
  facts.fixed = kControlDescriptors + workers_ * (kDescriptorsOfThread + of_pipes);
  facts.listeners = plane_->listener_count() + tunnel_->listener_count();
  facts.sessions = tunnel_->session_count();
  relay_->set_descriptors(facts);
}

void Process::open_tunnel() {
  for (const net::Endpoint& endpoint : options_.config.listen) {
    listeners_->open(endpoint, holder::ListenerKind::kTunnel, 1, [this](Result<std::vector<Fd>> opened) {
      if (!opened) return fail(opened.error().context("tunnel port"));
      for (Fd& socket : *opened) tunnel_->add_listener(std::move(socket));
      serve_if_complete();
    });
  }
}

void Process::open_admin() {
  listeners_->open_admin([this](Result<std::vector<Fd>> opened) {
    if (!opened) return fail(opened.error().context("control socket"));
    admin_ = std::make_unique<admin::Server>(*loop_, std::move(opened->front()), *commands_);
    admin_->start();
    serve_if_complete();
  });
}

void Process::serve_if_complete() {
  if (--to_open_ > 0) return;
  listeners_->retain_done();
  listeners_->ready();
  std::string tunnels;
  for (const net::Endpoint& endpoint : options_.config.listen) tunnels += " " + core::PublicPorts{endpoint, 1}.text();
  spdlog::info("relay {}: tunnel port{}, {} mapping(s), control socket in {}", hosts_.front(), tunnels,
               relay_->mappings().all().size(), options_.directories.run);
  for (const std::string& text : facts().missing) spdlog::warn("{}", text);
  std::fputs("ready\n", stderr);
}

// A shortage (disk, memory, descriptors) may pass: the holder then tries again and keeps the public ports meanwhile.
int exit_code_of(const Error& error) {
  switch (error.os_errno()) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case ENOSPC:
    case EDQUOT: return 1;
    default: return error.code() == Code::kExhausted ? 1 : holder::kExitConfiguration;
  }
}

void Process::fail(const Error& error) {
  spdlog::error("{}", error.message());
  ::_exit(exit_code_of(error));
}

void Process::watch_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  signals_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  signal_.handler = [this](io::Completion completion) {
    if (completion.result > 0) on_signal();
  };
  loop_->poll(signal_, signals_.get(), POLLIN);
}

void Process::on_signal() {
  signalfd_siginfo info{};
  if (::read(signals_.get(), &info, sizeof info) == sizeof info && info.ssi_signo != SIGHUP) return stop();
  const auto reloaded = reload();
  if (!reloaded) spdlog::error("not reloaded, the old configuration goes on: {}", reloaded.error().message());
  loop_->poll(signal_, signals_.get(), POLLIN);
}

void Process::stop() {
  if (std::exchange(stopping_, true)) return;
  spdlog::info("stopping: agents are told, running flows are reset");
  relay_->stop();
  plane_->stop();
  const auto close_tunnel = [this] { tunnel_->stop([this] { loop_->stop(); }); };
  if (!admin_) return close_tunnel();
  admin_->close([this, close_tunnel] {
    admin_.reset();
    close_tunnel();
  });
}

void block_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

}  // namespace

int run_relay(const Options& options, const MakeListeners& make_listeners) {
  block_signals();                         // before any thread is made
  (void)::prctl(PR_SET_NAME, "nfrelayd");  // executed through /proc/self/exe it is called "exe"
  raise_descriptor_limit();
  Process process(options);
  const Status started = process.start(make_listeners);
  if (!started) {
    spdlog::error("{}", started.error().message());
    std::fflush(nullptr);
    ::_exit(exit_code_of(started.error()));  // parts that were started are not worth an orderly end
  }
  process.run();
  return 0;
}

}  // namespace nfr::relayd
