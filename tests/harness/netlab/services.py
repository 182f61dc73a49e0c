# SPDX-License-Identifier: GPL-2.0-only
"""Real servers from Debian packages in the agent's namespace, each with a directory of its own inside the lab's."""
import os
import pwd
import shutil
import subprocess

from .case import need_program
from .process import Process, wait_until
from .topology import run


def _listening(namespace, port):
    return bool(namespace.run("ss", "-Hltn", f"sport = :{port}").strip())


def wait_listening(server, namespace, port, seconds=20):
    def up():
        if not server.alive():
            raise AssertionError(f"{server.name} ended with {server.exit_code()}:\n{server.log()}")
        return _listening(namespace, port)
    wait_until(up, seconds, f"{server.name} listens on {port}", step=0.05)
    return server


def serve(lab, name, words, port, seconds=20):
    """Starts a server in the agent's namespace; returns once it listens on the port, raises with its log when it ends."""
    server = lab.track(Process(name, lab.net.agent, words, lab.path(f"{name}.log")))
    return wait_listening(server, lab.net.agent, port, seconds)


def redis(lab, port=6379):
    directory = lab.path("redis")
    os.makedirs(directory)
    return serve(lab, "redis", [need_program("redis-server"), "--port", port, "--bind", "127.0.0.1", "--save", "",
                                 "--appendonly", "no", "--dir", directory], port)


def mariadb(lab, port=3306):
    """Answers user nf with password secret over TCP; without --skip-networking it would only listen on a socket."""
    directory = lab.path("mariadb")
    os.makedirs(directory)
    shutil.chown(directory, "mysql", "mysql")
    run(need_program("mariadb-install-db"), f"--datadir={directory}", "--user=mysql", "--auth-root-authentication-method=normal",
        "--skip-test-db")
    setup = lab.path("mariadb.sql")
    with open(setup, "w") as file:
        file.write("CREATE DATABASE shop;\nCREATE USER nf@'%' IDENTIFIED BY 'secret';\nGRANT ALL ON shop.* TO nf@'%';\n")
    os.chmod(setup, 0o644)
    return serve(lab, "mariadb", [need_program("mariadbd"), "--no-defaults", f"--datadir={directory}", "--user=mysql",
                                   f"--port={port}", "--bind-address=127.0.0.1", f"--socket={directory}/s.sock",
                                   f"--pid-file={directory}/pid", f"--init-file={setup}"], port, seconds=40)


def sshd(lab, port=22):
    """Lets root in with the key that is returned; files are read and written where the user says."""
    directory = lab.path("ssh")
    os.makedirs(directory, mode=0o700)
    os.makedirs("/run/sshd", exist_ok=True)  # privilege separation; the package's unit makes it too
    for name in ("host", "user"):
        run(need_program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", f"{directory}/{name}")
    user = pwd.getpwuid(os.geteuid()).pw_name
    with open(f"{directory}/config", "w") as file:
        file.write(f"Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/host\nPidFile none\nUsePAM no\n"
                   f"AuthorizedKeysFile {directory}/user.pub\nStrictModes no\nPermitRootLogin yes\n"
                   "PasswordAuthentication no\nSubsystem sftp internal-sftp\n")
    serve(lab, "sshd", [need_program("sshd"), "-D", "-e", "-f", f"{directory}/config"], port)
    return f"{directory}/user", user


def nginx(lab, port=80):
    """Serves the directory that is returned."""
    directory = lab.path("nginx")
    os.makedirs(f"{directory}/www")
    os.chmod(directory, 0o755)
    with open(f"{directory}/nginx.conf", "w") as file:
        file.write(f"daemon off;\nuser root;\npid {directory}/pid;\nerror_log stderr;\nworker_processes 1;\n"
                   "events { worker_connections 1024; }\n"
                   f"http {{ access_log off; keepalive_requests 100000; client_body_temp_path {directory}/body;\n"
                   f"proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u;\n"
                   f"scgi_temp_path {directory}/s; server {{ listen 127.0.0.1:{port}; root {directory}/www; }} }}\n")
    serve(lab, "nginx", [need_program("nginx"), "-e", "stderr", "-c", f"{directory}/nginx.conf"], port)
    return f"{directory}/www"


def client(namespace, *words, text=None, timeout=120):
    """A client program in a namespace; returns its output, raises with its errors."""
    done = subprocess.run([*namespace.enter_words(), need_program(words[0]), *map(str, words[1:])], input=text,
                          capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, words))}: exit {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout
