"""The two real services behind the agent: a throwaway MariaDB and a throwaway Redis, never the system's own ones."""
import os
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
    port = stage.ports["redis"]
    server = stage.start(stage.agent, f"redis-server --bind 127.0.0.1 --port {port} --save '' --appendonly no "
                                      f"--dir {stage.directory}/redis")
    server.wait_for("Ready to accept connections")


def start_mariadb(stage) -> None:
    directory = f"{stage.directory}/mariadb"
    user = " --user=root" if os.geteuid() == 0 else ""
    init = f"{directory}/init.sql"
    with open(init, "w", encoding="utf-8") as file:
        file.write(SQL)
    small = "--innodb-log-file-size=4M --innodb-buffer-pool-size=16M --skip-log-bin"
    code, said = stage.agent.run(f"mariadb-install-db --no-defaults --datadir={directory}/data --skip-test-db "
                                 f"--auth-root-authentication-method=normal {small}{user}")
    if code != 0:
        reasons = [line for line in said.splitlines() if "ERROR" in line or "No space" in line] or said.splitlines()
        raise Trouble(f"mariadb-install-db in {directory} ended with exit code {code}:\n" + "\n".join(reasons[:6]))
    server = stage.start(stage.agent, f"mariadbd --no-defaults --datadir={directory}/data --port={stage.ports['mariadb']} "
                                      f"--bind-address=127.0.0.1 --socket={directory}/socket "
                                      f"--pid-file={directory}/pid --init-file={init} --skip-name-resolve {small}{user}")
    _wait_until_ready(server, stage.ports["mariadb"])


def _wait_until_ready(server, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    server.wait_for("ready for connections", deadline - time.monotonic())
    server.wait_for(f"port: {port}", deadline - time.monotonic())
