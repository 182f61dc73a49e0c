# SPDX-License-Identifier: GPL-2.0-only
"""`nfagent expose` and `status` as a person types them, with kills in between."""
import signal
import time
import unittest

from bench import QUICK, Bench, free_port

REACHABLE = r"target on 127\.0\.0\.1:(\d+) is reachable at  127\.0\.0\.1:(\d+)"


class Expose(Bench):
    def public_port(self, expose):
        return int(expose.wait_for(REACHABLE).group(2))

    def test_a_visitor_comes_and_goes_and_the_mapping_ends(self):
        self.join()
        expose = self.expose(str(self.echo.port))
        port = self.public_port(expose)
        self.assertIn("(the same next time)", expose.output())
        self.visit(port).close()
        expose.wait_for(r"127\.0\.0\.1 +connected   \d\d:\d\d:\d\d")
        expose.wait_for(r"127\.0\.0\.1 +closed      \d\d:\d\d:\d\d   5 B in, 5 B out")
        running = self.visit(port)
        expose.send(signal.SIGINT)
        self.assertEqual(expose.wait(), 0)
        self.assertIn("mapping removed, 1 running flow ends by itself", expose.output())
        running.sendall(b"on")
        self.assertEqual(running.recv(2), b"on")
        with self.assertRaises(ConnectionRefusedError):
            self.visit(port)
        again = self.expose(str(self.echo.port))
        self.assertEqual(self.public_port(again), port)

    def test_a_killed_expose_takes_its_mapping_along_and_only_its(self):
        self.join()
        one, other = self.expose(str(self.echo.port)), self.expose(str(free_port()))
        port = self.public_port(one)
        other.wait_for("does not answer: connection refused")
        self.public_port(other)
        one.send(signal.SIGKILL)
        one.wait()
        status = lambda: self.nfagent("status")[1]
        for _ in range(100):
            if f":{self.echo.port}" not in status():
                break
        self.assertNotIn(f":{self.echo.port}", status())
        self.assertIn("expose", status())
        with self.assertRaises(ConnectionRefusedError):
            self.visit(port)

    def test_the_relay_dies_and_comes_back(self):
        self.join()
        expose = self.expose(str(self.echo.port))
        port = self.public_port(expose)
        self.relay.send(signal.SIGKILL)
        self.relay.wait()
        expose.wait_for("the relay is not reachable: ")
        code, status = self.nfagent("status")
        self.assertEqual(code, 0)
        self.assertIn("not connected to", status)
        self.start_relay()
        expose.wait_for(rf"connected again: 127\.0\.0\.1:{self.echo.port} is reachable at  127\.0\.0\.1:{port}")
        self.visit(port)

    def test_begun_while_the_relay_is_away(self):
        self.join()
        self.relay.send(signal.SIGKILL)
        self.relay.wait()
        expose = self.expose(str(self.echo.port))
        expose.wait_for("the relay is not reachable: ")
        self.start_relay()
        self.visit(self.public_port(expose))

    def test_the_agent_dies(self):
        agent = self.join()
        expose = self.expose(str(self.echo.port))
        self.public_port(expose)
        agent.send(signal.SIGKILL)
        self.assertEqual(expose.wait(), 1)
        self.assertIn("the agent has ended", expose.output())
        self.start_agent()
        until = time.monotonic() + 5  # it declares right after it has connected
        while self.admin("maps")["mappings"] and time.monotonic() < until:
            time.sleep(0.05)
        self.assertEqual(self.admin("maps")["mappings"], [])

    def test_refusals_are_the_relays_words(self):
        self.join()
        code, text = self.nfagent("expose", str(self.echo.port), "--port", "8888")
        self.assertEqual(code, 1)
        self.assertIn("error: 8888/tcp is not among the ports this agent may ask for (auto)", text)
        self.assertIn("nfctl agent set client1 --ports", text)
        code, text = self.nfagent("expose", "10.9.8.7:80")
        self.assertEqual(code, 1)
        self.assertIn("nfagent allow 10.9.8.7:80", text)

    def test_no_agent_and_bad_words(self):
        (self.dir / "agent.toml").write_text("")
        code, text = self.nfagent("expose", "3000")
        self.assertEqual(code, 3)
        for part in ("nfagent is not running", "nfagent run", "systemctl start netferry-agent"):
            self.assertIn(part, text)
        for words in (["expose"], ["expose", "99999"], ["expose", "1", "--port", "x"], ["run", "--port", "1"],
                      ["expose", "1", "--port", "1", "--auto"], ["status", "x"], ["expose", "1", "--leg", "wool"]):
            self.assertEqual(self.nfagent(*words)[0], 2, words)

    def test_lasting_mappings(self):
        port = free_port()
        lasting = f'[[mapping]]\npublic = {port}\ntarget = {self.echo.port}\n[[mapping]]\npublic = "auto"\ntarget = "22"\n'
        agent = self.join(QUICK + lasting)
        agent.wait_for(rf"{port}/tcp -> 127\.0\.0\.1:{self.echo.port}: {port}/tcp is not among the ports")
        auto = agent.wait_for(r"127\.0\.0\.1:(\d+) -> 127\.0\.0\.1:22").group(1)
        self.admin("agent.set", name="client1", ports=f"{port},auto")
        agent.wait_for(rf"127\.0\.0\.1:{port} -> 127\.0\.0\.1:{self.echo.port}\n")  # told at once, without a new login
        self.visit(port)
        agent.send(signal.SIGTERM)
        self.assertEqual(agent.wait(), 0)
        self.relay.send(signal.SIGTERM)
        self.relay.wait()
        self.start_relay()
        agent = self.start_agent(QUICK + lasting)
        agent.wait_for(rf"127\.0\.0\.1:{auto} -> 127\.0\.0\.1:22")
        self.visit(port)


if __name__ == "__main__":
    unittest.main(verbosity=2)
