# SPDX-License-Identifier: GPL-2.0-only
"""An agent whose only way out is tinyproxy, with and without a password: session and channels go through it, by TLS."""
import re
import shutil
import socket
import sys
import threading
import unittest

from bench import QUICK, Bench, free_port

TINYPROXY = shutil.which("tinyproxy")


class Proxy(Bench):
    def start_proxy(self, extra=""):
        self.proxy_port = free_port()
        config = self.dir / "tinyproxy.conf"
        config.write_text(f"Port {self.proxy_port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 50\nLogLevel Connect\n"
                          f'LogFile "{self.dir}/tinyproxy-own.log"\nAllow 127.0.0.1\n{extra}\n')
        self.proxy = self.run_program("tinyproxy", [TINYPROXY, "-d", "-c", config])
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.proxy_port)) == 0:
                    return
            threading.Event().wait(0.05)
        self.fail("tinyproxy does not listen:\n" + self.proxy.output())

    def connects(self):
        """How many times the proxy was asked for the tunnel port."""
        text = (self.dir / "tinyproxy-own.log").read_text()
        return len(re.findall(rf"CONNECT 127\.0\.0\.1:{self.tunnel}", text))

    def expose_and_visit(self):
        expose = self.expose(str(self.echo.port))
        port = expose.wait_for(r"is reachable at  127\.0\.0\.1:(\d+)").group(1)
        self.visit(port, b"x" * 200_000)
        return expose

    def test_everything_goes_through_it_by_tls(self):
        self.start_proxy("BasicAuth user hunter2")
        agent = self.join(QUICK + f'proxy = "http://user:hunt%65r2@127.0.0.1:{self.proxy_port}"\n')
        self.assertIn(f"through proxy 127.0.0.1:{self.proxy_port}: channels use leg tls", agent.output())
        self.assertEqual(self.connects(), 1)
        self.expose_and_visit()
        self.assertGreaterEqual(self.connects(), 2)  # the channel
        self.assertEqual({flow["leg"] for flow in self.admin("flows")["flows"]}, {"tls"})
        status = self.nfagent("status")[1]
        self.assertIn(f"leg at least tls   through proxy 127.0.0.1:{self.proxy_port}", status)
        self.assertNotIn("hunter2", agent.output() + status)

    def test_the_environments_proxy_and_its_exceptions(self):
        self.start_proxy()
        proxy = {"HTTPS_PROXY": f"http://127.0.0.1:{self.proxy_port}"}
        agent = self.join(env=proxy)
        self.assertEqual(self.connects(), 1)
        self.expose_and_visit()
        agent.end()
        seen = self.connects()
        agent = self.start_agent(env={**proxy, "NO_PROXY": "example.org,127.0.0.0/8"})
        agent.end()
        agent = self.start_agent(config=QUICK + 'proxy = "none"\n', env=proxy)
        self.assertEqual(self.connects(), seen)

    def failing_agent(self, config, pattern):
        line = self.admin("agent.add", name="client1")["join_line"]
        agent = self.run_program("agent", self.agent_words("join", line, config=QUICK + config))
        agent.wait_for(pattern)
        agent.end()

    def test_a_wrong_password_is_told_and_not_shown(self):
        self.start_proxy("BasicAuth user right")
        self.failing_agent(f'proxy = "http://user:wrongword@127.0.0.1:{self.proxy_port}"\n',
                           rf"not connected: relay 127\.0\.0\.1:{self.tunnel} through proxy 127\.0\.0\.1:{self.proxy_port}: "
                           rf"proxy 127\.0\.0\.1:{self.proxy_port} answered 40[17]: ")
        self.assertNotIn("wrongword", (self.dir / "agent.log").read_text())

    def test_no_proxy_there(self):
        port = free_port()
        self.failing_agent(f'proxy = "http://127.0.0.1:{port}"\n', rf"proxy 127\.0\.0\.1:{port}: Connection refused")

    def hostile(self, answer):
        """A proxy that reads the request and says `answer`, for every connection."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        held = []

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                    held.append(connection)
                    connection.recv(4096)
                    connection.sendall(answer)
                except OSError:
                    return
        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1]

    def test_what_is_no_proxy(self):
        cases = [(b"SSH-2.0-x\r\n", r"the proxy's answer is not HTTP: 'SSH-2\.0-x"),
                 (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 9000, "has a head of more than 8192 bytes"),
                 (b"HTTP/1.1 200 OK\r\n\r\nearly", "sent more than its answer"),
                 (b"HTTP/1.1 403 \x1b[2J\r\n\r\n", r"answered 403: \\x1b\[2J"),
                 (b"HTTP/1.1 200 OK\r\n", "did not answer in time")]
        for answer, pattern in cases:
            with self.subTest(pattern):
                if self.admin("agent.list")["agents"]:
                    self.admin("agent.remove", name="client1")
                self.failing_agent(f'proxy = "http://127.0.0.1:{self.hostile(answer)}"\n', pattern)


if __name__ == "__main__":
    if TINYPROXY is None:
        print("SKIPPED: capability tinyproxy is missing (scripts/deps test)")
        sys.exit(77)
    unittest.main(verbosity=2)
