// SPDX-License-Identifier: GPL-2.0-only
#include "stream/engine.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

namespace nfr::stream {
namespace {

constexpr std::uint64_t kListenerBit = std::uint64_t{1} << 63;
constexpr std::chrono::milliseconds kConnectPause{10};  // after a refused connection
constexpr std::chrono::milliseconds kStallCheck{500};
constexpr int kSpawnMax = 64;  // connections begun between two looks at epoll

Result<Fd> open_namespace(const std::string& path) {
  Fd opened(::open(path.empty() ? "/proc/self/ns/net" : path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened.valid()) return Error::system("opening network namespace " + path, errno);
  return opened;
}

Result<Fd> make_socket(const net::Endpoint& endpoint, sockaddr_storage& address, socklen_t& length) {
  length = endpoint.to_sockaddr(address);
  Fd made(::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!made.valid()) return Error::system("socket", errno);
  return made;
}

}  // namespace

struct Engine::Entry {
  std::unique_ptr<Side> side;
  std::uint64_t id = 0;
  bool connecting = false;
  bool client = false;
  bool dead = false;
  std::uint32_t interest = 0;
  Time timer = Time::max();
};

Engine::Engine(const EngineOptions& options)
    : options_(options),
      random_(options.seed),
      ledger_(options.faults),
      host_{ledger_, random_, options.mixture,
            [this](std::uint64_t key) {
              const auto found = by_key_.find(key);
              return found != by_key_.end() ? found->second : nullptr;
            },
            [this](Side& side) { update(side); }},
      started_(options.connect.size(), 0) {}

Engine::~Engine() = default;

Status Engine::prepare() {
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.valid()) return Error::system("epoll_create1", errno);
  auto connect_in = open_namespace(options_.connect_namespace);
  if (!connect_in) return connect_in.error();
  auto listen_in = open_namespace(options_.listen_namespace);
  if (!listen_in) return listen_in.error();
  connect_namespace_ = std::move(*connect_in);
  listen_namespace_ = std::move(*listen_in);
  if (!options_.listen_namespace.empty() && ::setns(listen_namespace_.get(), CLONE_NEWNET) != 0)
    return Error::system("entering " + options_.listen_namespace, errno);
  if (const Status opened = open_listeners(); !opened) return opened;
  // From here on this thread stays where its clients live.
  if (!options_.connect_namespace.empty() && ::setns(connect_namespace_.get(), CLONE_NEWNET) != 0)
    return Error::system("entering " + options_.connect_namespace, errno);
  return {};
}

Status Engine::open_listeners() {
  for (const net::Endpoint& endpoint : options_.listen) {
    sockaddr_storage address{};
    socklen_t length = 0;
    auto made = make_socket(endpoint, address, length);
    if (!made) return made.error();
    const int on = 1;
    (void)::setsockopt(made->get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(made->get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
        ::listen(made->get(), 4096) != 0)
      return Error::system("listening on " + endpoint.text(), errno);
    epoll_event event{.events = EPOLLIN, .data = {.u64 = kListenerBit | listeners_.size()}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, made->get(), &event) != 0) return Error::system("epoll_ctl", errno);
    listeners_.push_back(std::move(*made));
  }
  return {};
}

void Engine::add(std::unique_ptr<Side> side, bool connecting) {
  auto entry = std::make_unique<Entry>();
  entry->id = ++last_id_;
  entry->connecting = connecting;
  entry->client = connecting;
  entry->side = std::move(side);
  by_key_[entry->side->key()] = entry->side.get();
  entry_of_[entry->side.get()] = entry.get();
  entry->interest = connecting ? EPOLLOUT : EPOLLIN;
  epoll_event event{.events = entry->interest, .data = {.u64 = entry->id}};
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, entry->side->socket(), &event);
  if (connecting) ++clients_;
  entries_[entry->id] = std::move(entry);
}

void Engine::update(Side& side) {
  const auto found = entry_of_.find(&side);
  if (found == entry_of_.end()) return;  // not added yet
  Entry& entry = *found->second;
  if (side.over()) {
    if (!std::exchange(entry.dead, true)) dead_.push_back(entry.id);
    return;
  }
  if (entry.connecting) return;
  const Time now = std::chrono::steady_clock::now();
  const std::uint32_t wanted = side.wanted_events(now);
  if (wanted != entry.interest) {
    entry.interest = wanted;
    epoll_event event{.events = wanted, .data = {.u64 = entry.id}};
    (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, side.socket(), &event);
  }
  const Time next = side.next_timer(now);
  if (next != Time::max() && next != entry.timer) timers_.push({next, entry.id});
  entry.timer = next;
}

bool Engine::wants_more(Time now) const {
  if (stopping_ || (options_.stop_on_violation && ledger_.totals.violations > 0)) return false;
  if (options_.duration.count() > 0) return now < end_;
  return ledger_.totals.connections < options_.stream_count;
}

void Engine::spawn(Time now) {
  for (int begun = 0; begun < kSpawnMax && clients_ < options_.concurrency && now >= next_connect_; ++begun) {
    if (!wants_more(now) || !spawn_one(now)) return;
  }
}

bool Engine::spawn_one(Time now) {
  const std::size_t which = ledger_.totals.connections % options_.connect.size();
  sockaddr_storage address{};
  socklen_t length = 0;
  auto made = make_socket(options_.connect[which], address, length);
  if (!made) {
    next_connect_ = now + kConnectPause;
    return false;
  }
  if (::connect(made->get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 && errno != EINPROGRESS) {
    ++ledger_.totals.connect_failures;
    next_connect_ = now + kConnectPause;
    return false;
  }
  ++ledger_.totals.connections;
  ++started_[which];
  add(std::make_unique<Side>(host_, Role::kClient, std::move(*made), now), true);
  return true;
}

void Engine::on_connect_done(Entry& entry, Time now) {
  int error = 0;
  socklen_t length = sizeof error;
  (void)::getsockopt(entry.side->socket(), SOL_SOCKET, SO_ERROR, &error, &length);
  entry.connecting = false;
  if (error != 0) {
    // A server that resets at once is met here.
    ++(error == ECONNRESET || error == EPIPE ? ledger_.totals.broken : ledger_.totals.connect_failures);
    next_connect_ = now + kConnectPause;
    entry.dead = true;
    dead_.push_back(entry.id);
    return;
  }
  entry.side->begin(client_plan(random_, options_.mixture), now);
  if (!entry.side->over()) update(*entry.side);
}

void Engine::on_accept(int listener, Time now) {
  for (int round = 0; round < kSpawnMax; ++round) {
    Fd accepted(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!accepted.valid()) return;
    auto side = std::make_unique<Side>(host_, Role::kServer, std::move(accepted), now);
    Side& kept = *side;
    add(std::move(side), false);
    if (server_speaks_first(random_, options_.mixture)) kept.begin(server_plan(random_, options_.mixture), now);
  }
}

void Engine::on_event(std::uint64_t id, std::uint32_t events, Time now) {
  if ((id & kListenerBit) != 0) return on_accept(listeners_[id & ~kListenerBit].get(), now);
  const auto found = entries_.find(id);
  if (found == entries_.end() || found->second->dead) return;
  if (found->second->connecting) return on_connect_done(*found->second, now);
  found->second->side->on_ready(events, now);
}

void Engine::run_timers(Time now) {
  while (!timers_.empty() && timers_.top().at <= now) {
    const Timer due = timers_.top();
    timers_.pop();
    const auto found = entries_.find(due.id);
    if (found == entries_.end() || found->second->dead || found->second->timer != due.at) continue;
    found->second->timer = Time::max();
    found->second->side->on_timer(now);
  }
}

void Engine::check_stalls(Time now) {
  if (now < next_stall_check_) return;
  next_stall_check_ = now + kStallCheck;
  std::vector<Side*> stuck;
  for (auto& [id, entry] : entries_) {
    if (!entry->dead && now - entry->side->last_progress() > options_.stall) stuck.push_back(entry->side.get());
  }
  for (Side* side : stuck) {
    if (!side->over()) side->give_up();
  }
}

void Engine::bury() {
  for (const std::uint64_t id : dead_) {
    const auto found = entries_.find(id);
    if (found->second->client) --clients_;
    by_key_.erase(found->second->side->key());
    entry_of_.erase(found->second->side.get());
    entries_.erase(found);
  }
  dead_.clear();
}

int Engine::wait_ms(Time now) const {
  Time next = now + kStallCheck;
  if (!timers_.empty()) next = std::min(next, timers_.top().at);
  if (clients_ < options_.concurrency && wants_more(now)) next = std::min(next, std::max(next_connect_, now));
  return static_cast<int>(std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(next - now).count()));
}

void Engine::run() {
  std::array<epoll_event, 256> events;
  Time now = std::chrono::steady_clock::now();
  if (options_.duration.count() > 0) end_ = now + options_.duration;
  while (wants_more(now) || !entries_.empty()) {
    if (options_.stop_on_violation && ledger_.totals.violations > 0) return;
    spawn(now);
    bury();
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_ms(now));
    now = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) on_event(events[i].data.u64, events[i].events, now);
    run_timers(now);
    check_stalls(now);
    bury();
  }
}

}  // namespace nfr::stream
