// SPDX-License-Identifier: GPL-2.0-only
// nf-load: load for the benchmarks; prints one JSON object. Exit code 0, 1 what was asked failed, 2 wrong use.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "load/load.hpp"

namespace nfr::load {
namespace {

constexpr std::string_view kUsage =
    "usage: nf-load echo ADDRESS:PORT [UNIX-SOCKET]\n"
    "       nf-load stream ADDRESS:PORT [UNIX-SOCKET]\n"
    "       nf-load download ADDRESS:PORT STREAMS MILLISECONDS\n"
    "       nf-load upload ADDRESS:PORT STREAMS MILLISECONDS\n"
    "       nf-load ping-pong ADDRESS:PORT CONNECTIONS MILLISECONDS\n"
    "       nf-load connect ADDRESS:PORT AT-ONCE MILLISECONDS\n"
    "       nf-load idle ADDRESS:PORT CONNECTIONS\n";

int wrong(std::string_view why) {
  fmt::print(stderr, "error: nf-load: {}\n{}", why, kUsage);
  return 2;
}

int failed(const Error& error) {
  fmt::print(stderr, "error: nf-load: {}\n", error.message());
  return 1;
}

/// 1 to 1,000,000.
std::optional<unsigned> number(const char* text) {
  char* end = nullptr;
  const unsigned long value = std::strtoul(text, &end, 10);
  if (end == text || *end != '\0' || value == 0 || value > 1'000'000) return std::nullopt;
  return static_cast<unsigned>(value);
}

int print(const Result<nlohmann::json>& result) {
  if (!result) return failed(result.error());
  fmt::print("{}\n", result->dump());
  return 0;
}

int run(int argc, char** argv) {
  if (argc < 3) return wrong("what, and where to");
  const std::string_view what = argv[1];
  const auto where = net::Endpoint::parse(argv[2]);
  if (!where) return wrong(where.error().message());
  if ((what == "echo" || what == "stream") && argc <= 4) {
    const Places places{*where, argc == 4 ? argv[3] : ""};
    return failed((what == "echo" ? echo(places) : stream(places)).error());
  }
  const auto count = argc > 3 ? number(argv[3]) : std::nullopt;
  if (!count) return wrong("a number from 1 to 1000000 of connections or streams is missing");
  if (what == "idle" && argc == 4) {
    const Status ended = idle(*where, *count);
    return ended ? 0 : failed(ended.error());
  }
  const auto time = argc == 5 ? number(argv[4]) : std::nullopt;
  if (!time) return wrong("a number of milliseconds is missing");
  if (what == "ping-pong") return print(ping_pong(*where, *count, std::chrono::milliseconds(*time)));
  if (what == "download" || what == "upload")
    return print(bulk(*where, what == "download", *count, std::chrono::milliseconds(*time)));
  if (what == "connect") return print(connects(*where, *count, std::chrono::milliseconds(*time)));
  return wrong(fmt::format("no such thing to do: {}", what));
}

}  // namespace
}  // namespace nfr::load

int main(int argc, char** argv) { return nfr::load::run(argc, argv); }
