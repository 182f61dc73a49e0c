# SPDX-License-Identifier: GPL-2.0-only
"""The demo's machines: where commands run, on which addresses and ports, and how all of it goes away again.

A stage gives the story three machines (visitor, relay, agent). NamespaceStage makes a network for each; LoopbackStage
has one machine under three names. Used by demo/run as a context manager.
"""
import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
BIN = os.environ.get("NETFERRY_BIN", os.path.join(HERE, "../build/bin"))
COMMAND_SECONDS = 30
START_SECONDS = 20
DISK_MB = 150  # MariaDB, freshly made, takes 30 to 110


class Trouble(Exception):
    """A step that did not work: what was tried and what came back."""


class Background:
    """A program that keeps running; its output is kept, and can be waited for."""

    def __init__(self, name: str, argv: list[str], env: dict[str, str]):
        self.name = name
        self.lines: list[str] = []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *argv], env=env, text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        errors="replace")
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def wait_for(self, text: str, seconds: float = START_SECONDS) -> str:
        """The first line that holds `text`."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while True:
                found = next((line for line in self.lines if text in line), None)
                if found is not None:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or (self.process.poll() is not None and not self.reader.is_alive()):
                    said = "\n".join(self.lines[-8:]) or "(nothing)"
                    raise Trouble(f"{self.name} did not say '{text}'. It said:\n{said}")
                self.changed.wait(min(left, 0.2))

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(8)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Machine:
    """One place to type commands in."""

    def __init__(self, name: str, address: str, enter: list[str], env: dict[str, str]):
        self.name = name
        self.address = address
        self._enter = enter
        self._env = {**os.environ, "PATH": f"{BIN}:/usr/local/sbin:/usr/sbin:/sbin:{os.environ.get('PATH', '')}", **env}

    def run(self, command: str) -> tuple[int, str]:
        try:
            done = subprocess.run([*self._enter, *shlex.split(command)], env=self._env, text=True, errors="replace",
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=COMMAND_SECONDS, check=False)
        except subprocess.TimeoutExpired as late:
            raise Trouble(f"{self.name}$ {command}: no end after {COMMAND_SECONDS} s") from late
        return done.returncode, done.stdout.rstrip("\n")

    def start(self, command: str) -> Background:
        return Background(f"{self.name}$ {command}", [*self._enter, *shlex.split(command)], self._env)


class Stage:
    """What both stages have: machines, a directory, and programs to stop in the reverse order of their start."""
    in_namespaces = False
    router_translates = False
    missing = ""  # why the full demo is not possible

    def __init__(self):
        self.directory = ""
        self.running: list[Background] = []
        self.ports = {"tunnel": 7707, "mariadb": 3306, "redis": 6379, "public mariadb": 8888, "public redis": 6379}

    def __enter__(self):
        for program in ("nfrelayd", "nfagent", "nfctl"):
            if not os.access(os.path.join(BIN, program), os.X_OK):
                raise Trouble(f"{BIN}/{program} is not there: make build makes it")
        for program in ("redis-server", "redis-cli", "mariadbd", "mariadb", "mariadb-install-db"):
            if shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin") is None:
                raise Trouble(f"{program} is not installed: make deps installs it")
        try:
            self.prepare()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_unused):
        for background in reversed(self.running):
            background.stop()
        self.remove()

    def start(self, machine: Machine, command: str) -> Background:
        background = machine.start(command)
        self.running.append(background)
        return background

    def make_directories(self) -> None:
        disk = os.statvfs(self.directory)
        free_mb = disk.f_bavail * disk.f_frsize // 1_000_000
        if free_mb < DISK_MB:
            raise Trouble(f"{self.directory} has {free_mb} MB free, and the demo needs {DISK_MB} MB: free some, or "
                          "name another place with TMPDIR=DIR make demo")
        for name in ("relay", "agent", "run", "redis", "mariadb"):
            os.makedirs(os.path.join(self.directory, name), exist_ok=True)
        with open(os.path.join(self.directory, "relay.toml"), "w", encoding="utf-8") as config:
            config.write(f'public = ["{self.relay_address}"]\n'
                         f'listen = ["{self.relay_address}:{self.ports["tunnel"]}"]\n')

    def environment(self, name: str) -> dict[str, str]:
        """The same variables a second instance on one machine would be given."""
        env = {"NETFERRY_STATE": f"{self.directory}/{name}", "NETFERRY_RUN": f"{self.directory}/run"}
        if name == "relay":
            env["NETFERRY_CONFIG"] = f"{self.directory}/relay.toml"
        return env

    def make_machines(self, enter: dict[str, list[str]]) -> None:
        addresses = {"visitor": self.visitor_address, "relay": self.relay_address, "agent": self.agent_address}
        self.visitor, self.relay, self.agent = (
            Machine(name, addresses[name], enter[name], self.environment(name)) for name in addresses)


class NamespaceStage(Stage):
    """Four namespaces, one a machine. Runs inside private pid, mount and network namespaces (demo/run makes them): /run
    becomes a file system of its own, so the names and files below it meet nobody else's, and vanish with the last
    process.

      visitor 198.51.100.7 --- 203.0.113.5 relay --- 192.0.2.44 home router (NAT) 192.168.1.1 --- 192.168.1.123 agent
    """
    in_namespaces = True
    router_translates = True
    visitor_address, relay_address = "198.51.100.7", "203.0.113.5"
    router_address, agent_address = "192.0.2.44", "192.168.1.123"

    def prepare(self) -> None:
        self._shell("mount -t tmpfs -o mode=755 none /run")
        self.directory = "/run/demo"
        os.makedirs(self.directory)
        os.chmod(self.directory, 0o755)
        self.make_directories()
        names = ("visitor", "relay", "router", "agent")
        for name in names:
            self._shell(f"ip netns add {name}", f"{self._in(name)} ip link set lo up")
        self._link("visitor", self.visitor_address, "relay", self.relay_address)
        self._link("router", self.router_address, "relay", self.relay_address)
        self._link("agent", self.agent_address, "router", "192.168.1.1")
        self._shell(f"{self._in('visitor')} ip route add default dev relay",
                    f"{self._in('router')} ip route add default via {self.relay_address} dev relay onlink",
                    f"{self._in('agent')} ip route add default via 192.168.1.1 dev router onlink")
        self._translate()
        self.make_machines({name: self._in(name).split() for name in names})

    def _translate(self) -> None:
        """The home router: forwards, hides 192.168.1.0/24 behind its one address, lets nobody in from outside."""
        rules = ("table ip home { "
                 "chain outward { type nat hook postrouting priority 100; oifname relay masquerade; }; "
                 "chain inward { type filter hook forward priority 0; iifname relay ct state new drop; }; }")
        router = self._in("router")
        self._shell(f"{router} sysctl -qw net.ipv4.ip_forward=1")
        try:
            self._shell(f"{router} nft {shlex.quote(rules)}")
        except Trouble as trouble:
            self.router_translates = False
            self.missing = f"No NAT here, the home router only forwards ({trouble})."
            self._shell(f"{self._in('relay')} ip route add {self.agent_address} via {self.router_address} dev router "
                        "onlink")

    @staticmethod
    def _in(name: str) -> str:
        return f"nsenter --net=/run/netns/{name}"

    def _link(self, one: str, one_address: str, other: str, other_address: str) -> None:
        """A cable; each end is called after the machine at the other one."""
        self._shell(f"{self._in(one)} ip link add {other} type veth peer name {one} netns {other}")
        for here, address, there, peer in ((one, one_address, other, other_address),
                                           (other, other_address, one, one_address)):
            self._shell(f"{self._in(here)} ip address add {address}/32 dev {there}",
                        f"{self._in(here)} ip link set {there} up",
                        f"{self._in(here)} ip route add {peer}/32 dev {there} src {address}")

    @staticmethod
    def _shell(*commands: str) -> None:
        for command in commands:
            done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise Trouble(f"{command}: {done.stderr.strip() or 'exit code ' + str(done.returncode)}")

    def remove(self) -> None:
        pass  # the namespaces take everything with them


class LoopbackStage(Stage):
    """One machine under three names, on 127.0.0.1 and free ports; nfrelayd with --single where it is not root."""
    visitor_address = relay_address = agent_address = "127.0.0.1"

    def __init__(self, why: str):
        super().__init__()
        self.missing = why
        self.janitor = None

    def prepare(self) -> None:
        # mariadb-install-db takes no path with a space, and a socket's path no more than 107 bytes.
        temporary = tempfile.gettempdir()
        suits = not any(letter.isspace() for letter in temporary) and len(temporary.encode()) < 60
        self.directory = tempfile.mkdtemp(prefix="netferry-demo-", dir=temporary if suits else "/tmp")
        # Removes the directory when this program's end of the pipe closes, and that happens even after kill -9.
        self.janitor = subprocess.Popen(
            ["sh", "-c", "trap '' INT TERM HUP; cat; sleep 0.3; rm -rf -- \"$1\"", "janitor", self.directory],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)
        self._choose_ports()
        self.make_directories()
        self.make_machines({"visitor": [], "relay": [], "agent": []})

    def _choose_ports(self) -> None:
        sockets = [socket.socket() for _ in self.ports]
        for name, probe in zip(self.ports, sockets):
            probe.bind(("127.0.0.1", 0))
            self.ports[name] = probe.getsockname()[1]
        for probe in sockets:
            probe.close()

    def remove(self) -> None:
        if self.janitor is not None:
            self.janitor.stdin.close()
            self.janitor.wait()
