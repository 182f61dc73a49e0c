#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The strict reader of PROXY headers (netlab/proxy_header.py) takes every form of the specification and nothing else.

Without it proxy_headers.py could not fail: needs no root and no program."""
import struct
import unittest

import harness  # noqa: F401
from netlab import proxy_header
from netlab.proxy_header import SIGNATURE, Malformed, parse

LONGEST6 = ":".join(["ffff"] * 8)
V4_BLOCK = bytes([192, 168, 0, 1, 192, 168, 0, 11]) + struct.pack("!HH", 56324, 443)
V6_BLOCK = bytes.fromhex("20010db8" + "00" * 11 + "01") + bytes.fromhex("fd77" + "00" * 13 + "02") + struct.pack("!HH", 1, 2)


def v2(version_command, family, body, size=None):
    return SIGNATURE + bytes([version_command, family]) + struct.pack("!H", len(body) if size is None else size) + body


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def with_crc(error=0):
    """A CRC in the middle of the TLVs."""
    def made(value):
        return v2(0x21, 0x11, V4_BLOCK + tlv(4, b"pad") + tlv(3, value) + tlv(0xE0, b"own"))
    return made(struct.pack("!I", proxy_header.crc32c(made(bytes(4))) ^ error))


GOOD = {
    b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n": (("192.168.0.1", 56324), ("192.168.0.11", 443)),
    b"PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n": (("255.255.255.255", 65535), ("0.0.0.0", 0)),
    b"PROXY TCP6 2001:db8::1 FD77:0:0:0:0:0:0:2 1 2\r\n": (("2001:db8::1", 1), ("fd77::2", 2)),
    f"PROXY TCP6 {LONGEST6} {LONGEST6} 65535 65535\r\n".encode(): ((LONGEST6, 65535), (LONGEST6, 65535)),
    b"PROXY UNKNOWN\r\n": (None, None),
    f"PROXY UNKNOWN {LONGEST6} {LONGEST6} 65535 65535\r\n".encode(): (None, None),  # 107 bytes
    b"PROXY UNKNOWN whatever\r\n": (None, None),
    v2(0x20, 0x00, b""): (None, None),
    v2(0x20, 0x11, b"\xff" * 7): (None, None),
    v2(0x21, 0x11, V4_BLOCK): (("192.168.0.1", 56324), ("192.168.0.11", 443)),
    v2(0x21, 0x21, V6_BLOCK): (("2001:db8::1", 1), ("fd77::2", 2)),
    v2(0x21, 0x11, V4_BLOCK + tlv(2, b"example.com") + tlv(0xE5, b"")): (("192.168.0.1", 56324), ("192.168.0.11", 443)),
    with_crc(): (("192.168.0.1", 56324), ("192.168.0.11", 443)),
}

BAD_LINES = [
    b"GET / HTTP/1.1\r\n", b"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n", b"PROXY\r\n", b"PROXY \r\n", b"PROXY  UNKNOWN\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r \r\n", b"PROXY TCP4 1.2.3.4\n1.2.3.4 1 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
    b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n", b"PROXY\tTCP4 1.2.3.4 1.2.3.4 1 2\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 -2\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 +2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n", b"PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n", b"PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", b"PROXY TCP4 1.2.3.4.5 1.2.3.4 1 2\r\n", b"PROXY TCP4 0x1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 ::1 1.2.3.4 1 2\r\n", b"PROXY TCP4 ::1 ::1 1 2\r\n", b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP6 ::1 1.2.3.4 1 2\r\n", b"PROXY TCP6 ::ffff:1.2.3.4 ::1 1 2\r\n", b"PROXY TCP6 [::1] ::1 1 2\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", b"PROXY TCP6 1::2::3 ::1 1 2\r\n", b"PROXY TCP6 12345::1 ::1 1 2\r\n",
    b"PROXY TCP6 1:2:3:4:5:6:7 ::1 1 2\r\n", b"PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n", b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP 1.2.3.4 1.2.3.4 1 2\r\n", b"PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n", b"PROXY UNKNOWNX\r\n", b" PROXY UNKNOWN\r\n",
    b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",  # 108 bytes
    b"PROXY UNKNOWN a\nb\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\0\r\n",
]

BAD_BLOCKS = [
    v2(0x11, 0x11, V4_BLOCK), v2(0x31, 0x11, V4_BLOCK), v2(0x22, 0x11, V4_BLOCK), v2(0x2F, 0x11, V4_BLOCK),
    v2(0x21, 0x10, V4_BLOCK), v2(0x21, 0x13, V4_BLOCK), v2(0x21, 0x41, V4_BLOCK), v2(0x21, 0x01, V4_BLOCK),
    v2(0x21, 0x00, b""), v2(0x21, 0x12, V4_BLOCK), v2(0x21, 0x31, bytes(216)), v2(0x20, 0xFF, b""),
    v2(0x21, 0x11, V4_BLOCK[:11]), v2(0x21, 0x11, b""), v2(0x21, 0x21, V4_BLOCK), v2(0x21, 0x21, V6_BLOCK[:35]),
    v2(0x21, 0x11, V4_BLOCK + b"\x04"), v2(0x21, 0x11, V4_BLOCK + b"\x04\x00"), v2(0x21, 0x11, V4_BLOCK + b"\x04\x00\x02a"),
    v2(0x21, 0x11, V4_BLOCK + tlv(4, b"a") + b"\x04"), v2(0x21, 0x11, V4_BLOCK + tlv(0xF8, b"")),
    v2(0x21, 0x11, V4_BLOCK + tlv(5, bytes(129))), v2(0x21, 0x11, V4_BLOCK + tlv(3, b"abc")), with_crc(error=1),
    b"\n" + v2(0x20, 0, b""), v2(0x20, 0, b"").replace(b"QUIT", b"QUIt"), v2(0x20, 0, b"").replace(b"\0\r", b"\x01\r"),
]


class StrictParser(unittest.TestCase):
    def test_every_form(self):
        for data, (source, destination) in GOOD.items():
            with self.subTest(data):
                header = parse(data + b"payload\r\n")
                self.assertEqual((header.source, header.destination, header.raw), (source, destination, data))
                self.assertEqual(header.version, 1 if data.startswith(b"P") else 2)

    def test_a_part_is_not_complete(self):
        for data in GOOD:
            for size in range(len(data)):
                self.assertIsNone(parse(data[:size]), data[:size])

    def test_nothing_else(self):
        for data in BAD_LINES + BAD_BLOCKS:
            with self.subTest(data), self.assertRaises(Malformed):
                parse(data)

    def test_what_a_length_promises_is_waited_for(self):
        self.assertIsNone(parse(v2(0x21, 0x11, V4_BLOCK, size=13)))
        self.assertIsNone(parse(v2(0x20, 0x00, b"", size=0xFFFF)))

    def test_every_flipped_bit_of_the_fixed_part_matters(self):
        for bit in range(8 * 14):
            data = bytearray(v2(0x21, 0x11, V4_BLOCK))
            data[bit // 8] ^= 1 << bit % 8
            if bit == 8 * 12:
                continue  # PROXY becomes LOCAL
            with self.subTest(bit), self.assertRaises(Malformed):
                parse(bytes(data))

    def test_crc_of_rfc_3720(self):
        self.assertEqual(proxy_header.crc32c(bytes(32)), 0x8A9136AA)
        self.assertEqual(proxy_header.crc32c(b"123456789"), 0xE3069283)


if __name__ == "__main__":
    unittest.main()
