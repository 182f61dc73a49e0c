# SPDX-License-Identifier: GPL-2.0-only
"""The ways from the visitor to the servers in the agent's namespace. All stand side by side in one lab.

Servers: iperf3 on IPERF, nf-load's bulk on STREAM, its echo on ECHO; a layout uses two of them. A variant says where the
visitor finds each. A new one: a class with a name, missing() and start(), added to ALL.
"""
import os
import shutil
import stat

import harness  # noqa: F401
import layouts
from netlab import topology
from netlab.daemons import binary
from netlab.process import Process, wait_until

IPERF, STREAM, ECHO = 7201, 7202, 7300


def program(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def handover(lab, service):
    """The unix socket over which nf-load's server of this port takes connections that another process has made."""
    return lab.path(f"handover-{service}.sock")


class Variant:
    name = ""
    what = ""  # one line for the report
    programs = ()
    layout = layouts.WHOLE
    services = (IPERF, ECHO)

    def __init__(self, lab):
        self.lab = lab

    def missing(self):
        """Why it cannot run here; empty if it can."""
        absent = [name for name in self.programs if program(name) is None]
        return f"{', '.join(absent)} not on PATH" if absent else ""

    def start(self):
        raise NotImplementedError

    offset = 0  # of the relay's port to the service's

    def place(self, service):
        """(address, port) for the visitor."""
        return topology.RELAY4, service + self.offset

    def endpoint(self, service):
        address, port = self.place(service)
        return f"{address}:{port}"

    def processes(self):
        """{name: pid} whose memory is the variant's."""
        return {}

    def spawn(self, name, namespace, words):
        return self.lab.track(Process(name, namespace, words, self.lab.path(f"{name}.log")))

    def wait_public(self):
        for service in self.services:
            self.wait_listening(self.lab.net.relay, service + self.offset)

    def write(self, name, text):
        path = self.lab.path(name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
        return path

    def wait_listening(self, namespace, port):
        wait_until(lambda: f":{port} " in namespace.run("ss", "-Hltn"), 10, f"{self.name} listens on {port}", step=0.05)


class Direct(Variant):
    name = "direct"
    what = "routed by the relay's kernel: the limit"

    def start(self):
        net = self.lab.net
        net.relay.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        net.visitor.ip("route", "replace", "10.77.2.0/24", "via", topology.RELAY4)
        net.agent.ip("route", "replace", "10.77.1.0/24", "via", topology.TUNNEL4)

    def place(self, service):
        return topology.AGENT4, service


class Dnat(Variant):
    name = "nft-dnat"
    what = "nftables DNAT with connection tracking on the relay"
    programs = ("nft",)
    offset = 1000

    def start(self):
        rules = "".join(f"tcp dport {service + self.offset} dnat to {topology.AGENT4}:{service}\n"
                        for service in self.services)
        self.lab.net.relay.run("nft", "-f", "-", text="table ip bench {\nchain pre {\n"
                               f"type nat hook prerouting priority dstnat;\n{rules}}}\n}}\n")


class Netferry(Variant):
    name = "netferry"
    what = "leg plain, tier user, io_uring"
    leg, io, bin = "plain", "io_uring", None
    tunnel, offset = 7707, 1100
    environment = None

    def start(self):
        listen = f'listen = ["{self.tunnel}"]\n'
        self.relay = self.lab.make_relay(f"relay-{self.name}", extra=listen)
        self.choose(self.relay)
        self.relay.start()
        self.join(self.relay.join_line("home"))
        for service in self.services:
            self.relay.ctl.text("map", service + self.offset, f"home:{service}", "--leg", self.leg)

    def join(self, line):
        self.agent = self.lab.make_agent("home", directory=f"agent-{self.name}")
        self.choose(self.agent)
        self.agent.join(line)

    def choose(self, daemon):
        """Back end, programs and environment of this variant."""
        with open(daemon.config) as file:
            lines = [line for line in file if not line.startswith("io = ")]
        with open(daemon.config, "w") as file:
            file.writelines([f'io = "{self.io}"\n', *lines])
        daemon.bin, daemon.environment = self.bin, self.environment

    def processes(self):
        return {"relay": self.relay.relay_pid(), "agent": self.agent.process.pid}


class NetferryTls(Netferry):
    name, what = "netferry-tls", "leg tls, tier user, io_uring"
    leg, tunnel, offset = "tls", 7717, 1200


class NetferryEpoll(Netferry):
    name, what = "netferry-epoll", "leg plain, tier user, epoll"
    io, tunnel, offset = "epoll", 7727, 1300


class TwoHops(Variant):
    """A plain proxy in the relay's place that hands on to the same in the agent's place."""

    def start(self):
        for place, namespace, listen, to, listen_offset, to_offset in self.chain():
            self.hop(place, namespace, listen, to, listen_offset, to_offset)
            for service in self.services:
                self.wait_listening(namespace, service + listen_offset)

    def chain(self):
        """The arguments of each hop()."""
        net = self.lab.net
        return [("relay", net.relay, topology.RELAY4, topology.AGENT4, self.offset, self.offset + 50),
                ("agent", net.agent, topology.AGENT4, "127.0.0.1", self.offset + 50, 0)]

    def hop(self, place, namespace, listen, to, listen_offset, to_offset):
        raise NotImplementedError


class Haproxy(TwoHops):
    name, what = "haproxy", "HAProxy, TCP mode with splice, in relay's and in agent's place"
    programs = ("haproxy",)
    offset = 1400

    def hop(self, place, namespace, listen, to, listen_offset, to_offset):
        text = ("global\n maxconn 4000\n nbthread 2\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 1h\n"
                " timeout server 1h\n option splice-auto\n")
        for service in self.services:
            text += (f"listen s{service}\n bind {listen}:{service + listen_offset}\n"
                     f" server s {to}:{service + to_offset}\n")
        config = self.write(f"{self.name}-{place}.cfg", text)
        self.spawn(f"{self.name}-{place}", namespace, [program("haproxy"), "-db", "-f", config])


class Nginx(TwoHops):
    name, what = "nginx", "nginx stream in relay's and in agent's place"
    programs = ("nginx",)
    module = "/usr/lib/nginx/modules/ngx_stream_module.so"
    offset = 1500

    def missing(self):
        return super().missing() or ("" if os.path.exists(self.module) else f"{self.module} is not there")

    def hop(self, place, namespace, listen, to, listen_offset, to_offset):
        servers = "".join(f"server {{ listen {listen}:{service + listen_offset}; tcp_nodelay on; "
                          f"proxy_pass {to}:{service + to_offset}; proxy_timeout 1h; }}\n" for service in self.services)
        config = self.write(f"{self.name}-{place}.conf", f"load_module {self.module};\ndaemon off;\nworker_processes 2;\n"
                            f"pid {self.lab.path(f'{self.name}-{place}.pid')};\nerror_log stderr;\n"
                            f"worker_rlimit_nofile 19000;\nevents {{ worker_connections 9000; }}\n"
                            f"stream {{\n{servers}}}\n")
        self.spawn(f"{self.name}-{place}", namespace, [program("nginx"), "-c", config, "-e", "stderr"])


class Socat(TwoHops):
    name, what = "socat", "socat, a process a connection, in relay's and in agent's place"
    programs = ("socat",)
    offset = 1600

    def hop(self, place, namespace, listen, to, listen_offset, to_offset):
        for service in self.services:
            self.spawn(f"socat-{place}-{service}", namespace,
                       [program("socat"), f"TCP-LISTEN:{service + listen_offset},bind={listen},fork,reuseaddr,nodelay,"
                        "backlog=1024", f"TCP:{to}:{service + to_offset},nodelay"])


class Frp(Variant):
    name, what = "frp", "frps and frpc as they come"
    programs = ("frps", "frpc")
    offset, port, more = 1700, 7747, ""

    def start(self):
        server = self.write(f"{self.name}-s.toml", f'bindAddr = "{topology.TUNNEL4}"\nbindPort = {self.port}\n'
                            f'proxyBindAddr = "{topology.RELAY4}"\n{self.more_server}')
        proxies = "".join(f'[[proxies]]\nname = "s{service}"\ntype = "tcp"\nlocalIP = "127.0.0.1"\n'
                          f"localPort = {service}\nremotePort = {service + self.offset}\n" for service in self.services)
        client = self.write(f"{self.name}-c.toml", f'serverAddr = "{topology.TUNNEL4}"\nserverPort = {self.port}\n'
                            f"{self.more}{proxies}")
        self.spawn(f"{self.name}-s", self.lab.net.relay, [program("frps"), "-c", server])
        self.wait_listening(self.lab.net.relay, self.port)
        self.spawn(f"{self.name}-c", self.lab.net.agent, [program("frpc"), "-c", client])
        self.wait_public()

    more_server = ""


class FrpTuned(Frp):
    name, what = "frp-tuned", "frp without mux and TLS, pool of 20"
    offset, port = 1800, 7757
    more = "transport.tcpMux = false\ntransport.tls.enable = false\ntransport.poolCount = 20\n"
    more_server = "transport.tcpMux = false\ntransport.maxPoolCount = 20\n"


class Rathole(Variant):
    name, what = "rathole", "rathole, transport tcp"
    programs = ("rathole",)
    offset, port = 1900, 7767

    def start(self):
        token = 'token = "bench"\n'
        server = "".join(f'[server.services.s{service}]\n{token}bind_addr = "{topology.RELAY4}:{service + self.offset}"\n'
                         for service in self.services)
        client = "".join(f'[client.services.s{service}]\n{token}local_addr = "127.0.0.1:{service}"\n'
                         for service in self.services)
        address = f"{topology.TUNNEL4}:{self.port}"
        self.spawn("rathole-s", self.lab.net.relay, [program("rathole"), "--server", self.write(
            "rathole-s.toml", f'[server]\nbind_addr = "{address}"\n{server}')])
        self.wait_listening(self.lab.net.relay, self.port)
        self.spawn("rathole-c", self.lab.net.agent, [program("rathole"), "--client", self.write(
            "rathole-c.toml", f'[client]\nremote_addr = "{address}"\n{client}')])
        self.wait_public()


class Bore(Variant):
    name, what = "bore", "bore"
    programs = ("bore",)
    offset = 2000

    def start(self):
        relay, agent = self.lab.net.relay, self.lab.net.agent
        self.spawn("bore-s", relay, [program("bore"), "server", "--min-port", 1024])
        for service in self.services:
            self.spawn(f"bore-{service}", agent, [program("bore"), "local", service, "--to", topology.TUNNEL4, "--port",
                                                  service + self.offset])
            self.wait_listening(relay, service + self.offset)


class RelayAlone:
    """Before a variant: what it has in the relay's place hands on to the servers themselves."""
    layout = layouts.ALONE
    services = (STREAM, ECHO)

    def chain(self):
        return [("relay", self.lab.net.relay, topology.RELAY4, topology.AGENT4, self.offset, 0)]


class AloneDirect(RelayAlone, Direct):
    name = "alone-direct"


class AloneNetferry(RelayAlone, Netferry):
    """Its agent hands each channel over to a server, and is out of the bytes' way."""
    name = "alone-netferry"
    tunnel, offset = 7807, 2100

    def join(self, line):
        sockets = [f"{service}={handover(self.lab, service)}" for service in self.services]
        agent = self.spawn(f"channel-agent-{self.name}", self.lab.net.agent, [binary("nf-channel-agent"), line, *sockets])
        agent.wait_log("ready")

    def processes(self):
        return {}  # the whole path tells the relay's memory


class AloneNetferryEpoll(AloneNetferry):
    name, what = "alone-netferry-epoll", NetferryEpoll.what
    io, tunnel, offset = "epoll", 7817, 2200


class AloneHaproxy(RelayAlone, Haproxy):
    name, what = "alone-haproxy", "HAProxy, TCP mode with splice, in relay's place"
    offset = 2300


class AloneNginx(RelayAlone, Nginx):
    name, what = "alone-nginx", "nginx stream in relay's place"
    offset = 2400


ALL = (Direct, Dnat, Netferry, NetferryEpoll, NetferryTls, Haproxy, Nginx, Socat, Frp, FrpTuned, Rathole, Bore,
       AloneDirect, AloneNetferry, AloneNetferryEpoll, AloneHaproxy, AloneNginx)
