// SPDX-License-Identifier: GPL-2.0-only
// The agent's policy whole: login, heartbeats, reconnecting, and which targets may be dialled. Events in, decisions
// out through AgentWorld, no I/O. One instance, on the agent's loop thread (or under the simulator's clock).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/random.hpp"
#include "core/seams.hpp"
#include "proto/message.hpp"
#include "proto/refuse.hpp"

namespace nfr::control {

/// What the agent's policy may ask of the world. Calls return at once; answers are events of Agent.
class AgentWorld {
 public:
  virtual ~AgentWorld() = default;
  /// TCP and TLS to "HOST:PORT". Answer: on_connected or on_dial_failed, exactly one.
  virtual void dial_relay(const std::string& address) = 0;
  /// Opens a channel for this OPEN and serves it to its end; a reason when that cannot even be begun. What is found
  /// out later, before the channel is there, is Agent::on_open_failed.
  virtual std::optional<proto::RefuseReason> open_channel(const proto::Open& open, core::SessionId session,
                                                          const core::SessionKeys& keys) = 0;
  /// Dials the target and hangs up. Answer: on_probe_result.
  virtual void probe(const proto::Probe& probe) = 0;
  /// The allow list of this machine; nothing from the relay can widen it. A name is judged when it was resolved.
  virtual bool allowed(const core::Target& target) const = 0;
  virtual Status save_pins(const std::array<core::Pin, 2>& pins) = 0;
  /// The join token was accepted; it is to be forgotten.
  virtual void enrolled() = 0;
  virtual void connected(const std::string& address, const proto::Welcome& welcome, Micros took) = 0;
  /// `reason` is safe to print.
  virtual void disconnected(const std::string& reason, Millis retry_in) = 0;
  virtual void notice(const std::string& text) = 0;
  /// What became of the wishes, in their order; texts are safe to print.
  virtual void declared(const std::vector<proto::Wish>& wishes, const proto::Declared& outcome) = 0;
  /// The join line is no good: trying again cannot help.
  virtual void give_up(const std::string& reason) = 0;
};

struct AgentSettings {
  std::vector<std::string> addresses;  ///< of the relay, tried in turn
  core::InstanceId instance;
  std::string software;
  core::Leg leg_min = core::Leg::kPlain;
  std::optional<proto::Hello::Enroll> enroll;
  Millis reconnect_min{200};
  Millis reconnect_max{15'000};
  Millis refused_retry{60'000};  ///< after the relay said that this identity is not welcome
};

class Agent {
 public:
  Agent(Clock& clock, Random& random, AgentWorld& world, AgentSettings settings)
      : clock_(clock), random_(random), world_(world), settings_(std::move(settings)) {}

  void start();
  void tick();  ///< at least every 100 ms
  void stop();  ///< says bye; the link closes after it

  void on_connected(core::AgentLink& link, const core::SessionKeys& keys);
  void on_dial_failed(std::string_view reason);
  void on_message(std::string_view payload);
  void on_link_closed(std::string_view reason);
  void on_open_failed(std::uint64_t number, proto::RefuseReason reason);
  void on_probe_result(std::uint64_t number, std::optional<proto::RefuseReason> refused, Micros dial);

  /// The mappings this agent wishes for, all of them; kept over reconnects. Answer, each time: AgentWorld::declared.
  void wish(std::vector<proto::Wish> wishes);

  bool is_connected() const { return state_ == State::kActive; }
  core::SessionId session() const { return session_; }

 private:
  enum class State { kIdle, kDialling, kGreeting, kActive, kClosing, kStopped };

  void dial();
  void retry(std::string_view reason, std::optional<Millis> fixed = {});
  void close(std::string_view reason);
  void handle(const proto::Welcome& welcome);
  void handle(const proto::Bye& bye);
  void refused(const std::string& text);  ///< trying again at once would change nothing
  void handle(const proto::Open& open);
  void handle(const proto::Probe& probe);
  void handle(proto::Declared declared);
  void declare();
  void store_pins(const std::array<core::Pin, 2>& pins);

  Clock& clock_;
  Random& random_;
  AgentWorld& world_;
  AgentSettings settings_;
  State state_ = State::kIdle;
  core::AgentLink* link_ = nullptr;
  core::SessionKeys keys_;
  core::SessionId session_;
  Millis heartbeat_{5000};
  Instant dial_started_;
  Instant next_dial_;
  Instant last_heard_;
  Instant last_ping_;
  std::size_t next_address_ = 0;
  unsigned failures_ = 0;
  std::vector<proto::Wish> wishes_;
  std::uint64_t declare_serial_ = 0;
  bool ever_active_ = false;
  std::string close_reason_;
  std::optional<Millis> close_retry_;
};

}  // namespace nfr::control
