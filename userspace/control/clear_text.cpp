// SPDX-License-Identifier: GPL-2.0-only
#include "control/clear_text.hpp"

#include <array>

namespace nfr::control {
namespace {

struct Service {
  std::uint16_t port;
  const char* name;
};
constexpr std::array kServices = {
    Service{21, "FTP"},          Service{23, "Telnet"},       Service{25, "SMTP"},
    Service{80, "HTTP"},         Service{110, "POP3"},        Service{143, "IMAP"},
    Service{389, "LDAP"},        Service{1433, "SQL Server"}, Service{1883, "MQTT"},
    Service{3306, "MySQL"},      Service{5432, "PostgreSQL"}, Service{5900, "VNC"},
    Service{6379, "Redis"},      Service{8080, "HTTP"},       Service{9200, "Elasticsearch"},
    Service{11211, "memcached"}, Service{27017, "MongoDB"},
};

}  // namespace

std::string clear_text_service(net::Port port) {
  for (const Service& service : kServices) {
    if (service.port == port.value) return service.name;
  }
  return {};
}

}  // namespace nfr::control
