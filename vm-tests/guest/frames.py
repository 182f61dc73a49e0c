# SPDX-License-Identifier: GPL-2.0-only
"""What a network card moves: its own counters, and how many of the frames it is given to send are above a size.

The counters of the card count what crosses it, before GRO on the way in and after segmentation by the kernel on the way out:
an average above the MTU means that offloaded packets crossed. The count of sent frames is taken by a packet socket.
"""
import ctypes
import pathlib
import socket
import struct

ETH_P_ALL = 3
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_ATTACH_FILTER = 26
PACKET_OUTGOING = 4
# Classic BPF: load the packet's type, load the packet's length, jumps, return.
LOAD, LOAD_LENGTH, EQUAL, GREATER, RETURN = 0x20, 0x80, 0x15, 0x25, 0x06
SKF_AD_PKTTYPE = 0xfffff000 + 4


def _above(size: int) -> bytes:
    """Lets a frame through that goes out and is longer than size, cut to nothing that matters."""
    code = ((LOAD, 0, 0, SKF_AD_PKTTYPE), (EQUAL, 0, 3, PACKET_OUTGOING), (LOAD_LENGTH, 0, 0, 0), (GREATER, 0, 1, size),
            (RETURN, 0, 0, 1), (RETURN, 0, 0, 0))
    return b"".join(struct.pack("<HBBI", *word) for word in code)


class Watch:
    """Counts from its making on."""

    def __init__(self, device: str, over: int):
        self.device = device
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        code = _above(over)
        kept = ctypes.create_string_buffer(code, len(code))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(code) // 8, ctypes.addressof(kept)))
        self.socket.bind((device, ETH_P_ALL))
        self.before = self._counters()

    def _counters(self) -> dict[str, int]:
        directory = pathlib.Path("/sys/class/net") / self.device / "statistics"
        return {name: int((directory / name).read_text()) for name in ("rx_bytes", "rx_packets", "tx_bytes", "tx_packets")}

    def seen(self) -> dict[str, int]:
        now = self._counters()
        # What did not fit into the socket's buffer is counted in the first figure, too.
        packets, _ = struct.unpack("@II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        return {"sent_over": packets, **{name: now[name] - self.before[name] for name in now}}

    def close(self) -> None:
        self.socket.close()
