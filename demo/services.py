# SPDX-License-Identifier: GPL-2.0-only
"""The two real services behind the agent: a throwaway MariaDB and a throwaway Redis, never the system's own ones."""
import os
import shlex
import time

from stage import Trouble

SQL = """\
CREATE DATABASE shop;
CREATE TABLE shop.orders (id INT PRIMARY KEY, customer VARCHAR(20), total DECIMAL(8,2));
INSERT INTO shop.orders VALUES (1, 'Ada', 12.50), (2, 'Grace', 99.00), (3, 'Edsger', 7.25);
CREATE USER 'demo'@'%' IDENTIFIED BY 'demo';
GRANT SELECT ON shop.* TO 'demo'@'%';
"""
START_SECONDS = 30


def start_redis(stage) -> None:
    words = ["redis-server", "--bind", "127.0.0.1", "--port", str(stage.ports["redis"]), "--save", "", "--appendonly",
             "no", "--dir", f"{stage.directory}/redis"]
    stage.start(stage.agent, shlex.join(words)).wait_for("Ready to accept connections")


def start_mariadb(stage) -> None:
    directory = f"{stage.directory}/mariadb"
    common = ["--no-defaults", f"--datadir={directory}/data", "--innodb-log-file-size=4M",
              "--innodb-buffer-pool-size=16M", "--skip-log-bin"]
    if os.geteuid() == 0:
        common.append("--user=root")
    _make_database(stage, directory, common)
    port = stage.ports["mariadb"]
    words = ["mariadbd", *common, f"--port={port}", "--bind-address=127.0.0.1", f"--socket={directory}/socket",
             f"--pid-file={directory}/pid", f"--init-file={directory}/init.sql", "--skip-name-resolve"]
    _wait_until_ready(stage.start(stage.agent, shlex.join(words)), port)


def _make_database(stage, directory: str, common: list[str]) -> None:
    with open(f"{directory}/init.sql", "w", encoding="utf-8") as file:
        file.write(SQL)
    words = ["mariadb-install-db", *common, "--force", "--skip-test-db", "--auth-root-authentication-method=normal"]
    code, said = stage.agent.run(shlex.join(words))
    if code != 0:
        reasons = [line for line in said.splitlines() if "ERROR" in line or "No space" in line] or said.splitlines()
        raise Trouble(f"mariadb-install-db in {directory} ended with exit code {code}:\n" + "\n".join(reasons[:6]))


def _wait_until_ready(server, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    server.wait_for("ready for connections", deadline - time.monotonic())
    server.wait_for(f"port: {port}", deadline - time.monotonic())
