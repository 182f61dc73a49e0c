// SPDX-License-Identifier: GPL-2.0-only
#include "stream/plan.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace nfr::stream {
namespace {

constexpr std::uint32_t kBulkChunk = 256 * 1024;
constexpr std::uint64_t kReceiveBufferMin = 65536;  // less would shrink a window that was offered already

std::uint64_t below(Random& random, std::uint64_t limit) {
  return std::uniform_int_distribution<std::uint64_t>(0, limit > 0 ? limit - 1 : 0)(random);
}

bool percent(Random& random, unsigned chance) { return below(random, 100) < chance; }

/// 1..max, every octave as likely as any other.
std::uint64_t log_uniform(Random& random, std::uint64_t max) {
  const double exponent = std::uniform_real_distribution<double>(0, std::log2(static_cast<double>(max)))(random);
  return std::clamp<std::uint64_t>(static_cast<std::uint64_t>(std::exp2(exponent)), 1, max);
}

// Sizes at which segments, buffers and pipes change over, and nothing at all.
std::uint64_t draw_size(Random& random, std::uint64_t max) {
  constexpr std::array<std::uint64_t, 11> kEdges = {0, 1, 7, 8, 1447, 1448, 65535, 65536, 65537, 2097151, 2097153};
  if (percent(random, 12)) return std::min(kEdges[below(random, kEdges.size())], max);
  return log_uniform(random, max);
}

void draw_reset(Random& random, const Mixture& mixture, Plan& plan) {
  if (!percent(random, mixture.reset_percent)) return;
  if (percent(random, 60)) {
    plan.reset_at_sent = below(random, plan.size + 1);
  } else {
    plan.reset_at_received = log_uniform(random, mixture.size_max);
  }
}

void draw_habits(Random& random, const Mixture& mixture, Plan& plan) {
  plan.write_size = static_cast<std::uint32_t>(log_uniform(random, 1 << 20));
  // A gigabyte in writes of one byte would take an hour.
  plan.write_size = std::max(plan.write_size, static_cast<std::uint32_t>(plan.size / 4000 + 1));
  plan.read_size = static_cast<std::uint32_t>(log_uniform(random, 1 << 18));
  plan.read_size = std::max<std::uint32_t>(plan.read_size, 256);
  plan.fin_with_data = percent(random, 50);
  if (percent(random, 15)) plan.read_pause_us = static_cast<std::uint32_t>(200 + below(random, 5000));
  if (percent(random, 10)) plan.read_delay_ms = static_cast<std::uint32_t>(below(random, 800));
  if (percent(random, 10)) plan.receive_buffer = static_cast<int>(kReceiveBufferMin + log_uniform(random, 1 << 20));
  if (percent(random, 10)) {
    plan.pause_at = below(random, plan.size + 1);
    plan.pause_ms = static_cast<std::uint32_t>(20 + below(random, 1200));
  }
  draw_reset(random, mixture, plan);
}

void make_ping_pong(Random& random, Plan& plan) {
  plan.kind = Kind::kPingPong;
  plan.block = static_cast<std::uint32_t>(log_uniform(random, 4096)) + 7;  // the first block holds the key
  plan.size = std::uint64_t{plan.block} * (1 + below(random, 200));
  plan.reply_size = plan.size;
}

Plan bulk(std::uint64_t size) {
  Plan plan;
  plan.size = size;
  plan.write_size = kBulkChunk;
  plan.read_size = kBulkChunk;
  return plan;
}

}  // namespace

Plan client_plan(Random& random, const Mixture& mixture) {
  if (mixture.kind == "pingpong") {
    Plan plan = bulk(mixture.size_max);
    plan.kind = Kind::kPingPong;
    plan.block = 64;
    plan.size = plan.reply_size = std::max<std::uint64_t>(1, mixture.size_max / plan.block) * plan.block;
    return plan;
  }
  if (mixture.kind != "mix") {
    // A download still needs the client's key, by which the server knows what is asked for.
    Plan plan = bulk(mixture.kind == "down" ? kBulkChunk / 256 : mixture.size_max);
    plan.reply_size = mixture.kind == "up" ? 0 : mixture.size_max;
    draw_reset(random, mixture, plan);
    return plan;
  }
  Plan plan;
  if (percent(random, 12)) {
    make_ping_pong(random, plan);
  } else {
    const auto shape = below(random, 3);  // up, down, both
    plan.size = draw_size(random, shape == 1 ? 4096 : mixture.size_max);
    plan.reply_size = draw_size(random, shape == 0 ? 4096 : mixture.size_max);
  }
  draw_habits(random, mixture, plan);
  if (plan.kind == Kind::kPingPong) plan.write_size = std::max(plan.write_size, plan.block / 4 + 1);
  return plan;
}

Plan server_plan(Random& random, const Mixture& mixture) {
  Plan plan;
  plan.size = draw_size(random, mixture.size_max);
  draw_habits(random, mixture, plan);
  return plan;
}

Plan reply_plan(Random& random, const Mixture& mixture, const Plan& client) {
  if (mixture.kind != "mix") {
    Plan plan = bulk(client.reply_size);
    plan.kind = client.kind;
    plan.block = client.block;
    return plan;
  }
  Plan plan;
  plan.kind = client.kind;
  plan.block = client.block;
  plan.size = client.reply_size;
  draw_habits(random, mixture, plan);
  return plan;
}

bool server_speaks_first(Random& random, const Mixture& mixture) {
  return mixture.kind == "mix" && mixture.server_decides && percent(random, 30);
}

}  // namespace nfr::stream
