// SPDX-License-Identifier: GPL-2.0-only
// Engine: listeners, connections and timers of nf-stream on one thread with epoll. Clients live in one network
// namespace, servers in another; both ends being here is what makes a verdict immediate.
#pragma once

#include <memory>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "net/address.hpp"
#include "stream/side.hpp"

namespace nfr::stream {

struct EngineOptions {
  std::string listen_namespace;  ///< path such as /run/netns/x; empty: where the process is
  std::string connect_namespace;
  std::vector<net::Endpoint> listen;
  std::vector<net::Endpoint> connect;  ///< used in turn
  std::uint64_t stream_count = 1000;   ///< connections in all; with `seconds` no limit
  std::size_t concurrency = 64;
  std::chrono::milliseconds duration{0};  ///< new connections for so long; 0: stream_count decides
  std::chrono::milliseconds stall{20'000};
  bool faults = false;
  bool stop_on_violation = false;
  std::uint64_t seed = 1;
  Mixture mixture;
};

class Engine {
 public:
  explicit Engine(const EngineOptions& options);
  ~Engine();
  Status prepare();
  /// Until everything is done, or on_signal() asked for the end. Afterwards the totals tell.
  void run();
  /// No new connections; those that run may end. Safe in a signal handler.
  void stop_soon() { stopping_ = true; }

  const Totals& totals() const { return ledger_.totals; }
  const std::vector<std::uint64_t>& started() const { return started_; }  ///< connections by `connect` address

 private:
  struct Entry;
  struct Timer {
    Time at;
    std::uint64_t id;
    bool operator>(const Timer& other) const { return at > other.at; }
  };

  Status open_listeners();
  void add(std::unique_ptr<Side> side, bool connecting);
  void update(Side& side);
  void spawn(Time now);
  bool spawn_one(Time now);
  bool wants_more(Time now) const;
  void on_event(std::uint64_t id, std::uint32_t events, Time now);
  void on_connect_done(Entry& entry, Time now);
  void on_accept(int listener, Time now);
  void run_timers(Time now);
  void check_stalls(Time now);
  void bury();
  int wait_ms(Time now) const;

  const EngineOptions& options_;
  Random random_;
  Ledger ledger_;
  Side::Host host_;
  Fd epoll_;
  Fd connect_namespace_;
  Fd listen_namespace_;
  std::vector<Fd> listeners_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Entry>> entries_;
  std::unordered_map<std::uint64_t, Side*> by_key_;
  std::unordered_map<const Side*, Entry*> entry_of_;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  std::vector<std::uint64_t> dead_;
  std::vector<std::uint64_t> started_;
  std::uint64_t last_id_ = 0;
  std::size_t clients_ = 0;
  Time end_ = Time::max();
  Time next_connect_{};
  Time next_stall_check_{};
  volatile bool stopping_ = false;
};

}  // namespace nfr::stream
