# SPDX-License-Identifier: GPL-2.0-only
"""Relay, agent and visitor on three machines, with a real nginx and Redis behind the agent, and what crosses them."""
import re
import time

from . import ROOT
from .channel import Failed
from .trio import CARD, Machine

MIB = 1 << 20
TRANSFER_S = 30
BIN = ROOT / "build/bin"
RELAY = "/run/relay"
AGENT = "/run/agent"
WWW = "/tmp/www"
# Of a file that no visitor gets to the end of; it takes no memory.
ENDLESS_MIB = 512
NGINX = f"""daemon off; user root; pid /run/nginx.pid; error_log stderr; worker_processes 1;
events {{ worker_connections 256; }}
http {{
  access_log off; client_max_body_size 1g; client_body_temp_path /tmp/nginx-body; proxy_temp_path /tmp/nginx-p;
  fastcgi_temp_path /tmp/nginx-f; uwsgi_temp_path /tmp/nginx-u; scgi_temp_path /tmp/nginx-s;
  server {{ listen 127.0.0.1:80; root {WWW}; dav_methods PUT; }}
}}
"""
# What nginx listens on, and Redis.
HTTP, REDIS = 80, 6379


def _compare(hashed: str, size: str, expected: str, what: str) -> None:
    if hashed != expected:
        raise Failed(f"{what} are not what was sent: sha256 {hashed[:16]}..., {size} bytes, expected {expected[:16]}...")


class Tunnel:
    """One choice of who is the relay. Files are named by their size in MiB; every figure is of this machine's time."""

    def __init__(self, relay: Machine, agent: Machine, visitor: Machine, sizes: tuple[int, ...]):
        self.relay, self.agent, self.visitor = relay, agent, visitor
        self.sizes = sorted(sizes)
        self.hashes: dict[int, str] = {}
        self.sent: dict[int, str] = {}
        self.ports: dict[str, int] = {}
        self.next_port = 8000
        self.holder = 0

    def set_up(self) -> None:
        """Servers and files of the agent's machine, files of the visitor's, the relay; no agent yet."""
        self.agent.run("mkdir", "-p", WWW, "/var/log/nginx")
        for one, path in ((self.agent, f"{WWW}/"), (self.visitor, "/tmp/up-")):
            one.start("files", "sh", "-c", self._making(path))
        self.relay.channel.ask(write=f"{RELAY}/relay.toml", text=f'public = ["{self.relay.address}"]\n')
        self.holder = self.relay.start("nfrelayd", BIN / "nfrelayd", "--config", f"{RELAY}/relay.toml", "--state",
                                       f"{RELAY}/state", "--run", f"{RELAY}/run", "--bpffs", f"{RELAY}/bpffs")
        self.agent.channel.ask(write=f"{WWW}/small", text="served\n")
        self.agent.channel.ask(write="/run/nginx.conf", text=NGINX)
        self.agent.channel.ask(write=f"{AGENT}/agent.toml", text="reconnect_min_ms = 100\nreconnect_max_ms = 500\n")
        self.agent.start("nginx", "nginx", "-c", "/run/nginx.conf")
        self.agent.start("redis", "redis-server", "--port", REDIS, "--bind", "127.0.0.1", "--save", "", "--dir", "/tmp")
        for one, into in ((self.agent, self.hashes), (self.visitor, self.sent)):
            into.update(zip(self.sizes, (line.split()[0] for line in one.wait("files", 60).splitlines())))
        self.relay.wait_log("nfrelayd", "ready\n")

    def _making(self, path: str) -> str:
        """Shell: random files, the smaller ones beginnings of the largest, with their hashes; and one of zeros."""
        largest = self.sizes[-1]
        lines = [f"head -c {largest * MIB} /dev/urandom > {path}{largest}", f"truncate -s {ENDLESS_MIB}M {path}endless"]
        lines += [f"head -c {size * MIB} {path}{largest} > {path}{size}" for size in self.sizes[:-1]]
        return " && ".join([*lines, *(f"sha256sum < {path}{size}" for size in self.sizes)])

    def tear_down(self) -> None:
        for one, names in ((self.agent, ("nfagent", "nginx", "redis")), (self.relay, ("nfrelayd",))):
            for name in names:
                one.stop(name)

    def ctl(self, *words) -> str:
        return self.relay.run(BIN / "nfctl", "--socket", f"{RELAY}/run/ctl.sock", *words)

    def join(self, name: str) -> None:
        """A new agent by a join line of its own, and its mappings: one a leg for nginx, one for Redis."""
        line = re.search(r"nfagent join (nf1\.\S+)", self.ctl("agent", "add", name))
        if not line:
            raise Failed("nfctl agent add printed no join line")
        if self.ports:
            self.agent.stop("nfagent")
        self.agent.start("nfagent", BIN / "nfagent", "join", line[1], "--config", f"{AGENT}/agent.toml", "--state",
                         f"{AGENT}/{name}", "--run", f"{AGENT}/run")
        self.agent.wait_log("nfagent", "connected to ")
        for kind, target, leg in (("plain", HTTP, "plain"), ("tls", HTTP, "tls"), ("redis", REDIS, "plain")):
            self.next_port += 1
            self.ports[kind] = self.next_port
            self.ctl("map", self.next_port, f"{name}:{target}", "--leg", leg)

    def url(self, leg: str, path) -> str:
        return f"http://{self.relay.address}:{self.ports[leg]}/{path}"

    def download(self, leg: str, mib: int, expected: str = "") -> float:
        """A file of the agent's nginx, compared by hash on the visitor's machine; seconds, by curl."""
        took, hashed, size = self.visitor.run(
            "sh", "-c", f"curl -sS -w '%{{time_total}}\\n' -o /tmp/got {self.url(leg, mib)} && sha256sum < /tmp/got && "
            "stat -c %s /tmp/got", seconds=TRANSFER_S).replace("-", "").split()
        _compare(hashed, size, expected or self.hashes[mib], f"the {mib} MiB that were downloaded")
        return float(took)

    def upload(self, leg: str, mib: int) -> float:
        """The same with PUT, a new file each time; seconds, by curl."""
        took = self.visitor.run("curl", "-sSf", "-w", "%{time_total}", "-H", "Expect:", "-T", f"/tmp/up-{mib}",
                                self.url(leg, "up"), seconds=TRANSFER_S)
        hashed, size = self.agent.run("sh", "-c", f"sha256sum < {WWW}/up && stat -c %s {WWW}/up && rm {WWW}/up").replace(
            "-", "").split()
        _compare(hashed, size, self.sent[mib], f"the {mib} MiB that were uploaded")
        return float(took)

    def redis(self, bytes_: int) -> None:
        """A value set and had again by redis-cli."""
        client = f"redis-cli -h {self.relay.address} -p {self.ports['redis']}"
        text = self.visitor.run("sh", "-c", f"head -c {bytes_ * 3 // 4} /dev/urandom | base64 -w0 > /tmp/value; "
                                            f"{client} -x set key < /tmp/value; {client} get key > /tmp/value.got; "
                                            "printf '\\n' >> /tmp/value; cmp /tmp/value /tmp/value.got && echo same")
        if text.split() != ["OK", "same"]:
            raise Failed(f"redis-cli set and get: {text}")

    def kill_relay_process(self) -> None:
        """The child of the holder, hard."""
        self.relay.run("sh", "-c", f"kill -9 $(cat /proc/{self.holder}/task/{self.holder}/children)")

    def watch(self, mtu: int) -> None:
        """From now on the relay's card is watched for frames above the MTU."""
        self.relay.channel.ask(watch=CARD, over=mtu + 14)

    def seen(self) -> dict[str, float]:
        """What the relay's card moved since: average sizes, and frames above the MTU that were sent."""
        counts = self.relay.channel.ask(seen=CARD)
        return {"received": counts["rx_bytes"] / max(1, counts["rx_packets"]),
                "sent": counts["tx_bytes"] / max(1, counts["tx_packets"]), "over": counts["sent_over"]}

    def logs(self) -> str:
        """Ends of the daemons' logs, for a failure."""
        out = []
        for one, name in ((self.relay, "nfrelayd"), (self.agent, "nfagent"), (self.agent, "nginx")):
            try:
                out.append(f"---- {name} on {one}:\n" + one.log(name)[-1500:].strip())
            except Failed as problem:
                out.append(f"---- {name} on {one}: {problem}")
        return "\n".join(out)
