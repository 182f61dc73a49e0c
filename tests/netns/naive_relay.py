# SPDX-License-Identifier: GPL-2.0-only
"""A relay as it is easily written, and wrong: whatever ends one side, the other side gets FIN.

Used by integrity.py, which must go red on it. Also what a killed process looks like to the kernel without SO_LINGER.
"""
import socket
import sys
import threading


def copy(source, sink):
    """Until the source ends; an error counts as an end, which is the mistake."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    try:
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def join(visitor, target_address):
    try:
        target = socket.create_connection(target_address)
    except OSError:
        return visitor.close()
    with visitor, target:
        back = threading.Thread(target=copy, args=(target, visitor), daemon=True)
        back.start()
        copy(visitor, target)
        back.join()


def main():
    listen_port, target_port = map(int, sys.argv[1:3])
    server = socket.create_server(("127.0.0.1", listen_port), backlog=256)
    print("ready", flush=True)
    while True:
        visitor, _ = server.accept()
        threading.Thread(target=join, args=(visitor, ("127.0.0.1", target_port)), daemon=True).start()


main()
