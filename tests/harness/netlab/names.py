# SPDX-License-Identifier: GPL-2.0-only
"""A DNS server of a few lines inside a namespace: A records from a dictionary that the test changes as it goes."""
import socket
import struct
import threading

HEADER = struct.Struct("!HHHHHH")


class NameServer:
    """Answers on UDP port 53 of `address`; a name that is not in `names` does not exist. None: no answer at all."""

    def __init__(self, lab, namespace, address, names):
        self.names = names
        self.asked = []
        self._socket = namespace.socket(kind=socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        self._socket.settimeout(0.2)
        self._over = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        lab.defer(self.close)

    def close(self):
        self._over = True
        self._thread.join()
        self._socket.close()

    def _serve(self):
        while not self._over:
            try:
                query, client = self._socket.recvfrom(512)
            except TimeoutError:
                continue
            reply = self._reply(query)
            if reply:
                self._socket.sendto(reply, client)

    def _reply(self, query):
        number = HEADER.unpack_from(query)[0]
        labels, at = [], HEADER.size
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        name, kind = ".".join(labels).lower(), struct.unpack_from("!H", query, at + 1)[0]
        question = query[HEADER.size:at + 5]
        self.asked.append(name)
        if name not in self.names:
            return HEADER.pack(number, 0x8183, 1, 0, 0, 0) + question
        if self.names[name] is None:
            return b""
        records = [] if kind != 1 else [b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + socket.inet_aton(self.names[name])]
        return HEADER.pack(number, 0x8180, 1, len(records), 0, 0) + question + b"".join(records)
