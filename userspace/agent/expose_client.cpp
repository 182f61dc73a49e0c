// SPDX-License-Identifier: GPL-2.0-only
#include "agent/expose_client.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>

#include "agent/json_field.hpp"
#include "base/text.hpp"
#include "nfr/admin/admin.h"
#include "nfr/admin/agent.h"

namespace nfr::agent {
namespace {

using nlohmann::json;

constexpr Millis kAnswer{10'000};
constexpr Millis kEvents{NFR_AGENT_POLL_MS + 10'000};

std::string clock_text(const json& event) {
  const auto seconds = static_cast<std::time_t>(number_in(event, "at_ms") / 1000);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  return fmt::format("{:02}:{:02}:{:02}", local.tm_hour, local.tm_min, local.tm_sec);
}

std::string visitor_line(const json& event, std::string_view verb, const std::string& rest) {
  const std::string line =
      fmt::format("{:<15}  {:<9}   {}   {}", text_in(event, "visitor"), verb, clock_text(event), rest);
  return line.substr(0, line.find_last_not_of(' ') + 1);
}

int fail(const std::string& message) {
  std::fflush(stdout);
  std::fprintf(stderr, "error: %s\n", message.c_str());
  return NFR_EXIT_FAILED;
}

Fd watch_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

/// One `nfagent expose` from its request to its end.
class Expose {
 public:
  Expose(const Options& options, admin::Client client)
      : wish_(options.expose), client_(std::move(client)), signals_(watch_signals()) {}
  int run();

 private:
  Result<admin::Answer> wait_for_answer(Millis timeout);
  bool print(const json& answer);
  int end();
  int lost(const Error& error);

  const ExposeOptions& wish_;
  admin::Client client_;
  Fd signals_;
  bool interrupted_ = false;
};

int Expose::run() {
  json args{{"target", wish_.target}, {"public", wish_.public_ports}};
  if (!wish_.leg.empty()) args["leg"] = wish_.leg;
  if (!wish_.proxy_header.empty()) args["proxy"] = wish_.proxy_header;
  const auto begun = client_.call("expose", args, kAnswer);
  if (!begun) return lost(begun.error());
  if (begun->error) return fail(escape(begun->error->message(), 900));
  while (true) {
    if (const auto asked = client_.ask("expose.events", json::object(), kAnswer); !asked) return lost(asked.error());
    const auto answer = wait_for_answer(kEvents);
    if (interrupted_) return end();
    if (!answer) return lost(answer.error());
    if (answer->error) return fail(escape(answer->error->message(), 900));
    if (!print(answer->result)) return NFR_EXIT_FAILED;
  }
}

/// The next answer, or an error with interrupted_ set when a signal comes first.
Result<admin::Answer> Expose::wait_for_answer(Millis timeout) {
  pollfd entries[] = {{client_.descriptor(), POLLIN, 0}, {signals_.get(), POLLIN, 0}};
  int ready = 0;
  do {
    ready = ::poll(entries, 2, static_cast<int>(timeout.count()));
  } while (ready < 0 && errno == EINTR);
  interrupted_ = (entries[1].revents & POLLIN) != 0;
  if (interrupted_) return Error(Code::kUnavailable, "interrupted");
  return client_.next_answer(Millis{1000});
}

/// False after a refusal.
bool Expose::print(const json& answer) {
  if (const std::uint64_t dropped = number_in(answer, "dropped"); dropped > 0) {
    fmt::print("({} older event(s) were not shown: too many at once)\n", dropped);
  }
  const auto events = answer.find("events");
  if (events == answer.end() || !events->is_array()) return true;
  for (const json& event : *events) {
    if (text_in(event, "type") == "refused") {
      fail(text_in(event, "error"));
      return false;
    }
    const std::string line = event_line(event, wish_.shown_target, wish_.public_ports == "auto");
    if (!line.empty()) fmt::print("{}\n", line);
  }
  std::fflush(stdout);
  return true;
}

int Expose::end() {
  const auto id = client_.ask("expose.end", json::object(), kAnswer);
  if (!id) return lost(id.error());
  while (true) {
    const auto answer = client_.next_answer(kAnswer);
    if (!answer) return lost(answer.error());
    if (answer->id != *id) {
      if (!answer->error && !print(answer->result)) return NFR_EXIT_FAILED;
      continue;
    }
    if (answer->error) return fail(escape(answer->error->message(), 900));
    const std::uint64_t running = number_in(answer->result, "running");
    const std::string why = text_in(answer->result, "why");
    const std::string state = flag_in(answer->result, "removed") ? "mapping removed" : "mapping not removed: " + why;
    if (running == 0) fmt::print("{}\n", state);
    if (running == 1) fmt::print("{}, 1 running flow ends by itself\n", state);
    if (running > 1) fmt::print("{}, {} running flows end by themselves\n", state, running);
    return NFR_EXIT_OK;
  }
}

int Expose::lost(const Error& error) {
  if (error.code() != Code::kUnavailable) return fail(error.message());
  return fail(
      "the agent has ended; the relay keeps the mapping until an agent is back and does not ask for it "
      "(nfagent run, or sudo systemctl start netferry-agent)");
}

}  // namespace

std::string event_line(const json& event, const std::string& target, bool automatic) {
  const std::string type = text_in(event, "type");
  if (type == "address") {
    const char* same = automatic ? "   (the same next time)" : "";
    if (flag_in(event, "again"))
      return fmt::format("connected again: {} is reachable at  {}", target, text_in(event, "address"));
    return fmt::format("target on {} is reachable at  {}{}", target, text_in(event, "address"), same);
  }
  if (type == "target") return fmt::format("warning: {} does not answer: {}", target, text_in(event, "problem"));
  if (type == "away") {
    return fmt::format("the relay is not reachable: {}; visitors cannot come until it is, and this goes on by itself",
                       text_in(event, "reason"));
  }
  if (type == "arrived") return visitor_line(event, "connected", "");
  if (type == "turned_away") return visitor_line(event, "refused", text_in(event, "detail"));
  if (type != "left") return {};
  const std::string detail = text_in(event, "detail");
  const std::string bytes = fmt::format("{} in, {} out", human_bytes(number_in(event, "in_bytes")),
                                        human_bytes(number_in(event, "out_bytes")));
  return visitor_line(event, "closed", detail.empty() ? bytes : fmt::format("{}   {}", bytes, detail));
}

Result<admin::Client> connect_to_agent(const Options& options) {
  auto client = admin::Client::connect(options.directories.socket, Millis{3000}, admin::Daemon::kAgent);
  const bool absent = !client && client.error().code() == Code::kUnavailable;
  if (!absent || options.socket_named) return client;
  auto service = admin::Client::connect(NFR_AGENT_SERVICE_SOCKET, Millis{3000}, admin::Daemon::kAgent);
  const bool there = service || service.error().code() == Code::kDenied;
  return there ? std::move(service) : std::move(client);
}

int fail_to_reach(const Error& error) {
  fail(error.message());
  return error.code() == Code::kDenied ? NFR_EXIT_NOT_PERMITTED : NFR_EXIT_UNREACHABLE;
}

int run_expose(const Options& options) {
  auto client = connect_to_agent(options);
  if (!client) return fail_to_reach(client.error());
  return Expose(options, std::move(*client)).run();
}

}  // namespace nfr::agent
