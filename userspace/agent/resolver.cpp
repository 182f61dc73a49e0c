// SPDX-License-Identifier: GPL-2.0-only
// A c-ares channel a look-up: it reads /etc/resolv.conf and /etc/hosts as they are, asks from a port of its own, and
// ends alone. c-ares opens and closes its sockets as it likes, so they sit in an epoll set that the loop polls: an
// operation on a socket that closes under it would be left behind.
#include "agent/resolver.hpp"

#include <ares.h>
#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/fd.hpp"
#include "base/random.hpp"
#include "base/text.hpp"

namespace nfr::agent {
namespace {

constexpr std::size_t kNameMax = 253;  // RFC 1035 2.3.4, as text
constexpr std::size_t kLabelMax = 63;
constexpr int kTries = 2;         // the second waits twice as long as the first
constexpr int kReadyAtOnce = 64;  // sockets served before the loop goes on
constexpr Millis kShortestTry{20};

bool name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

// Letters, digits, '-', '_' in labels of 1 to 63; one dot may end it.
bool is_name(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.empty() || host.size() > kNameMax || !std::all_of(host.begin(), host.end(), name_character)) return false;
  for (std::size_t begin = 0; begin <= host.size();) {
    const std::size_t dot = std::min(host.find('.', begin), host.size());
    if (dot == begin || dot - begin > kLabelMax) return false;
    begin = dot + 1;
  }
  return true;
}

std::vector<std::string> servers_of(ares_channel channel) {
  std::vector<std::string> out;
  ares_addr_port_node* list = nullptr;
  if (::ares_get_servers_ports(channel, &list) != ARES_SUCCESS) return out;
  for (const ares_addr_port_node* node = list; node != nullptr; node = node->next) {
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &node->addr, sizeof bytes);
    out.push_back(node->family == AF_INET ? net::IpAddress::v4(ntohl(node->addr.addr4.s_addr)).text()
                                          : net::IpAddress::v6(bytes).text());
  }
  if (list != nullptr) ::ares_free_data(list);
  return out;
}

/// What c-ares said, in words that help.
Error failure(const std::string& host, int status, const std::vector<std::string>& servers) {
  const std::string asked = fmt::format("{}", fmt::join(servers, ", "));
  const std::string name = fmt::format("name '{}' cannot be resolved: ", escape(host));
  switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
      return {Code::kUnavailable, name + fmt::format("DNS server {} knows no address for it; check the spelling, or "
                                                     "add it to /etc/hosts",
                                                     asked)};
    case ARES_ETIMEOUT:
      return {Code::kTimeout, name + fmt::format("DNS server {} did not answer; check the nameserver lines of "
                                                 "/etc/resolv.conf, or use an address",
                                                 asked)};
    case ARES_ECONNREFUSED:  // c-ares' word for SERVFAIL from all, too
      return {Code::kUnavailable, name + fmt::format("DNS server {} is not there or fails; check the nameserver lines "
                                                     "of /etc/resolv.conf, or use an address",
                                                     asked)};
    default:
      return {Code::kUnavailable, name + fmt::format("DNS server {}: {}; try another server in /etc/resolv.conf, or "
                                                     "use an address",
                                                     asked, ::ares_strerror(status))};
  }
}

std::vector<net::IpAddress> addresses_of(const ares_addrinfo& list) {
  std::vector<net::IpAddress> out;
  for (const ares_addrinfo_node* node = list.nodes; node != nullptr; node = node->ai_next) {
    sockaddr_storage storage{};
    std::memcpy(&storage, node->ai_addr, std::min<std::size_t>(node->ai_addrlen, sizeof storage));
    const net::IpAddress address = net::Endpoint::from_sockaddr(storage).address;
    if (std::find(out.begin(), out.end(), address) == out.end()) out.push_back(address);
  }
  return out;
}

}  // namespace

// The epoll set. Outlives its resolver while a poll on it ends.
class Resolver::Watch final : public io::Operation {
 public:
  explicit Watch(Resolver& resolver) : owner(&resolver), set(::epoll_create1(EPOLL_CLOEXEC)) {}
  void complete(io::Completion) override {
    if (owner == nullptr) {
      delete this;
    } else {
      owner->on_ready();
    }
  }
  Resolver* owner;
  Fd set;
};

class Resolver::LookUp {
 public:
  LookUp(Resolver& owner, std::uint32_t number, std::string host, Done done)
      : owner_(owner),
        number_(number),
        host_(std::move(host)),
        done_(std::move(done)),
        end_(owner.loop_.now() + owner.options_.deadline),
        timer_(owner.loop_, [this] { on_timer(); }) {}
  ~LookUp() {
    if (channel_ != nullptr) ::ares_destroy(channel_);
  }
  LookUp(const LookUp&) = delete;
  LookUp& operator=(const LookUp&) = delete;

  void start();
  void refuse(Error error) {
    answer_ = std::move(error);
    timer_.arm(Millis{0});
  }
  /// May destroy *this.
  void process(int readable, int writable);
  Done take_done() { return std::move(done_); }
  Result<std::vector<net::IpAddress>> take_answer() { return std::move(*answer_); }

 private:
  int open(Millis each_try);
  void on_timer();
  void on_answer(int status, ares_addrinfo* found);
  void on_socket(int fd, bool reads, bool writes);
  void settle();

  Resolver& owner_;
  const std::uint32_t number_;
  const std::string host_;
  Done done_;
  const Instant end_;
  std::optional<Result<std::vector<net::IpAddress>>> answer_;
  ares_channel channel_ = nullptr;
  io::Timer timer_;
};

int Resolver::LookUp::open(Millis each_try) {
  if (channel_ != nullptr) ::ares_destroy(std::exchange(channel_, nullptr));
  char lookups[] = "fb";  // the hosts file, then DNS, whatever nsswitch.conf says
  ares_options options{};
  options.timeout = static_cast<int>(std::max(each_try, kShortestTry).count());
  options.tries = kTries;
  options.lookups = lookups;
  options.sock_state_cb_data = this;
  options.sock_state_cb = [](void* self, ares_socket_t fd, int reads, int writes) {
    static_cast<LookUp*>(self)->on_socket(fd, reads != 0, writes != 0);
  };
  int status = ::ares_init_options(&channel_, &options,
                                   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);
  if (status != ARES_SUCCESS) return channel_ = nullptr, status;
  std::vector<std::string> servers;
  for (const net::Endpoint& server : owner_.options_.servers) servers.push_back(server.text());
  if (!servers.empty())
    status = ::ares_set_servers_ports_csv(channel_, fmt::format("{}", fmt::join(servers, ",")).c_str());
  return status;
}

// A family that a server is silent about must not cost the other family's answer: all tries end before the deadline,
// so their length depends on how many servers there are, which the first channel tells.
void Resolver::LookUp::start() {
  const Millis all_tries = owner_.options_.deadline * 9 / 10;
  int status = open(all_tries / 3);
  const auto servers = status == ARES_SUCCESS ? servers_of(channel_).size() : 0;
  if (servers > 1) status = open(all_tries / (3 * static_cast<int>(servers)));
  if (status != ARES_SUCCESS) return refuse(failure(host_, status, {}));
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  ::ares_getaddrinfo(
      channel_, host_.c_str(), nullptr, &hints,
      [](void* self, int result, int, ares_addrinfo* found) { static_cast<LookUp*>(self)->on_answer(result, found); },
      this);
  settle();
}

void Resolver::LookUp::on_answer(int status, ares_addrinfo* found) {
  if (found != nullptr && status == ARES_SUCCESS) {
    auto addresses = addresses_of(*found);
    if (addresses.empty()) status = ARES_ENODATA;
    if (!addresses.empty()) answer_ = std::move(addresses);
  }
  if (found != nullptr) ::ares_freeaddrinfo(found);
  const bool destroyed = status == ARES_EDESTRUCTION;
  if (!answer_ && !destroyed) answer_ = failure(host_, status, servers_of(channel_));
}

void Resolver::LookUp::on_socket(int fd, bool reads, bool writes) {
  epoll_event event{.events = (reads ? EPOLLIN : 0U) | (writes ? EPOLLOUT : 0U), .data = {.u64 = 0}};
  event.data.u64 = std::uint64_t{number_} << 32 | static_cast<std::uint32_t>(fd);
  const int set = owner_.watch_->set.get();
  if (event.events == 0) {
    (void)::epoll_ctl(set, EPOLL_CTL_DEL, fd, nullptr);
  } else if (::epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) != 0 && errno == EEXIST) {
    (void)::epoll_ctl(set, EPOLL_CTL_MOD, fd, &event);
  }
}

void Resolver::LookUp::process(int readable, int writable) {
  ::ares_process_fd(channel_, readable, writable);
  if (answer_) return owner_.finish(number_);
  settle();
}

/// An answer at once is told by the timer, as everything else is.
void Resolver::LookUp::settle() {
  if (answer_) return timer_.arm(Millis{0});
  timeval longest{};
  const auto rest = std::max(Millis{0}, std::chrono::ceil<Millis>(end_ - owner_.loop_.now()));
  longest.tv_sec = static_cast<time_t>(rest.count() / 1000);
  longest.tv_usec = static_cast<suseconds_t>(rest.count() % 1000 * 1000);
  timeval next{};
  const timeval* due = ::ares_timeout(channel_, &longest, &next);
  timer_.arm(std::chrono::ceil<Millis>(std::chrono::seconds(due->tv_sec) + Micros(due->tv_usec)));
}

void Resolver::LookUp::on_timer() {
  if (!answer_ && owner_.loop_.now() >= end_) answer_ = failure(host_, ARES_ETIMEOUT, servers_of(channel_));
  if (answer_) return owner_.finish(number_);
  process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

Resolver::Resolver(io::Loop& loop, ResolverOptions options)
    : loop_(loop), options_(std::move(options)), watch_(std::make_unique<Watch>(*this)) {
  (void)::ares_library_init(ARES_LIB_INIT_ALL);
  // Without /dev/urandom c-ares takes the ids of its queries from rand().
  SystemRandom random;
  std::srand(static_cast<unsigned>(random.u64()));
}

Resolver::~Resolver() {
  *alive_ = false;
  look_ups_.clear();
  watch_->owner = nullptr;
  if (watch_->in_flight()) loop_.cancel(*watch_.release());
  ::ares_library_cleanup();
}

void Resolver::look_up(const std::string& host, Done done) {
  const auto refuse = [&](Code code, std::string_view why) {
    Error error(code, fmt::format("name '{}' cannot be resolved: {}", escape(host), why));
    loop_.post([alive = alive_, done = std::move(done), error = std::move(error)] {
      if (*alive) done(error);
    });
  };
  if (!is_name(host)) return refuse(Code::kInvalid, "this is no host name");
  if (look_ups_.size() >= kLookUpsMax) {
    return refuse(Code::kExhausted, fmt::format("{} names are being resolved", look_ups_.size()));
  }
  if (!watch_->set.valid()) return refuse(Code::kExhausted, "no descriptor was left when this program started");
  const std::uint32_t number = ++last_;
  auto& kept = look_ups_[number] = std::make_unique<LookUp>(*this, number, host, std::move(done));
  kept->start();
  watch();
}

void Resolver::watch() {
  if (!look_ups_.empty() && !watch_->in_flight()) loop_.poll(*watch_, watch_->set.get(), POLLIN);
}

/// One event at a time: serving it may end other look-ups and close their sockets.
void Resolver::on_ready() {
  const auto alive = alive_;
  for (int i = 0; i < kReadyAtOnce; ++i) {
    epoll_event event{};
    if (::epoll_wait(watch_->set.get(), &event, 1, 0) != 1) break;
    const auto found = look_ups_.find(static_cast<std::uint32_t>(event.data.u64 >> 32));
    if (found == look_ups_.end()) continue;
    const int fd = static_cast<int>(event.data.u64 & 0xffffffffU);
    const bool reads = (event.events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0;
    found->second->process(reads ? fd : ARES_SOCKET_BAD, (event.events & EPOLLOUT) != 0 ? fd : ARES_SOCKET_BAD);
    if (!*alive) return;
  }
  watch();
}

void Resolver::finish(std::uint32_t number) {
  const auto found = look_ups_.find(number);
  const Done done = found->second->take_done();
  auto answer = found->second->take_answer();
  look_ups_.erase(found);
  if (look_ups_.empty()) loop_.cancel(*watch_);
  done(std::move(answer));  // may destroy *this
}

}  // namespace nfr::agent
