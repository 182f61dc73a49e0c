// SPDX-License-Identifier: GPL-2.0-only
#include "relayd/keys.hpp"

namespace nfr::relayd {
namespace {

std::string current_path(const std::string& state_dir) { return state_dir + "/relay.key"; }
std::string next_path(const std::string& state_dir) { return state_dir + "/relay.next.key"; }

}  // namespace

Result<std::unique_ptr<Keys>> Keys::open(const std::string& state_dir, tls::PskLookup psk) {
  std::unique_ptr<Keys> keys(new Keys(state_dir, std::move(psk)));
  auto current = tls::Identity::load_or_create(current_path(state_dir));
  if (!current) return current.error();
  auto next = tls::Identity::load_or_create(next_path(state_dir));
  if (!next) return next.error();
  auto context = tls::Context::relay(*current, keys->psk_);
  if (!context) return context.error();
  keys->current_ = *current;
  keys->next_ = *next;
  keys->context_ = *context;
  return keys;
}

Status Keys::rotate() {
  auto fresh = tls::Identity::generate();
  if (!fresh) return fresh.error();
  auto context = tls::Context::relay(next_, psk_);
  if (!context) return context.error();
  Status saved = next_->save(current_path(state_dir_));
  if (!saved) return saved.error().context("storing the relay's key");
  current_ = next_;
  context_ = *context;
  saved = (*fresh)->save(next_path(state_dir_));
  if (!saved) return saved.error().context("the next key became current, but storing another next one failed");
  next_ = *fresh;
  return {};
}

}  // namespace nfr::relayd
