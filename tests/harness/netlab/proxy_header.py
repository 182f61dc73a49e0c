# SPDX-License-Identifier: GPL-2.0-only
"""A reader of PROXY protocol headers that takes nothing but what the specification allows a sender of TCP connections.

Written from sections 2.1 and 2.2 of haproxy's doc/proxy-protocol.txt, not from what Netferry sends. Where the text
leaves a receiver the choice, this one rejects, so that whatever passes here passes at every receiver.
"""
import dataclasses
import ipaddress
import re
import socket
import struct

LINE_BYTES_MAX = 107
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
FIXED_BYTES = 16
LOCAL, PROXY = 0, 1
# Family and protocol -> bytes of the address block. Other combinations do not exist.
BLOCK_BYTES = {0x00: 0, 0x11: 12, 0x12: 12, 0x21: 36, 0x22: 36, 0x31: 216, 0x32: 216}
TLV_CRC32C = 0x03
TLV_UNIQUE_ID = 0x05
UNIQUE_ID_BYTES_MAX = 128
TLV_RESERVED = range(0xF8, 0x100)

_OCTET = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_V4 = rb"%s(?:\.%s){3}" % (_OCTET, _OCTET)
_V6 = rb"[0-9A-Fa-f:]{2,39}"  # which of these is an address, inet_pton says
_PORT = rb"(?:0|[1-9][0-9]{0,4})"
_LINE = {family: re.compile(rb"PROXY %s (%s) (%s) (%s) (%s)" % (family, address, address, _PORT, _PORT))
         for family, address in ((b"TCP4", _V4), (b"TCP6", _V6))}
_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: .*)?")


class Malformed(Exception):
    pass


@dataclasses.dataclass(frozen=True)
class Header:
    """source and destination are (address, port), None for a connection of the sender's own (UNKNOWN, LOCAL)."""
    version: int
    raw: bytes
    source: tuple | None = None
    destination: tuple | None = None
    tlvs: tuple = ()


def parse(data):
    """The header that `data` begins with; None while it is not complete."""
    if not data:
        return None
    if data[:1] == b"P":
        return _parse_v1(data)
    return _parse_v2(data)


def _require(condition, text):
    if not condition:
        raise Malformed(text)


def _parse_v1(data):
    begin = b"PROXY "
    _require(data[:len(begin)] == begin[:len(data)], "no PROXY")
    window = data[:LINE_BYTES_MAX]
    end = window.find(b"\r\n")
    line = window if end < 0 else window[:end]
    stray = line.rstrip(b"\r") if end < 0 and len(window) < LINE_BYTES_MAX else line  # a CR at the end may get its LF
    _require(b"\r" not in stray and b"\n" not in stray, "a CR or LF alone")
    if end < 0:
        _require(len(window) < LINE_BYTES_MAX, f"no CRLF in the first {LINE_BYTES_MAX} bytes")
        return None
    return _parse_line(line, window[:end + 2])


def _parse_line(line, raw):
    if _UNKNOWN.fullmatch(line):
        return Header(1, raw)
    found = next((match for form in _LINE.values() if (match := form.fullmatch(line))), None)
    _require(found, "not one of the three forms")
    source, destination, *ports = found.groups()
    _require(all(int(port) <= 0xFFFF for port in ports), "a port above 65535")
    return Header(1, raw, (_text_address(source), int(ports[0])), (_text_address(destination), int(ports[1])))


def _text_address(text):
    family = socket.AF_INET6 if b":" in text else socket.AF_INET
    try:
        return str(ipaddress.ip_address(socket.inet_pton(family, text.decode())))
    except OSError as problem:
        raise Malformed(f"{text!r} is no address") from problem


def _parse_v2(data):
    _require(data[:len(SIGNATURE)] == SIGNATURE[:len(data)], "no signature")
    if len(data) > 12:
        _require(data[12] >> 4 == 2, f"version {data[12] >> 4}")
        _require(data[12] & 15 in (LOCAL, PROXY), f"command {data[12] & 15}")
    if len(data) > 13:
        _require(data[13] in BLOCK_BYTES, f"family and protocol {data[13]:#04x}")
    if len(data) < FIXED_BYTES:
        return None
    size = FIXED_BYTES + struct.unpack_from("!H", data, 14)[0]
    if len(data) < size:
        return None
    raw = bytes(data[:size])
    return Header(2, raw) if raw[12] & 15 == LOCAL else _parse_addresses(raw)


def _parse_addresses(raw):
    _require(raw[13] in (0x11, 0x21), f"family and protocol {raw[13]:#04x} are not TCP")
    width, end = (4, FIXED_BYTES + 12) if raw[13] == 0x11 else (16, FIXED_BYTES + 36)
    _require(len(raw) >= end, "shorter than its addresses")
    source, destination, *ports = struct.unpack(f"!{width}s{width}sHH", raw[FIXED_BYTES:end])
    tlvs = _parse_tlvs(raw[end:])
    _check_crc(raw, end, tlvs)
    return Header(2, raw, (str(ipaddress.ip_address(source)), ports[0]), (str(ipaddress.ip_address(destination)), ports[1]),
                  tlvs)


def _parse_tlvs(data):
    found = []
    while data:
        _require(len(data) >= 3, "a TLV without its length")
        kind, size = struct.unpack_from("!BH", data)
        _require(len(data) >= 3 + size, f"TLV {kind:#04x} is longer than the header")
        _require(kind not in TLV_RESERVED, f"TLV {kind:#04x} is reserved")
        _require(kind != TLV_CRC32C or size == 4, "a CRC that has not 4 bytes")
        _require(kind != TLV_UNIQUE_ID or size <= UNIQUE_ID_BYTES_MAX, "a unique id that is too long")
        found.append((kind, data[3:3 + size]))
        data = data[3 + size:]
    return tuple(found)


def _check_crc(raw, at, tlvs):
    for kind, value in tlvs:
        if kind == TLV_CRC32C:
            bare = raw[:at + 3] + bytes(4) + raw[at + 7:]
            _require(struct.unpack("!I", value)[0] == crc32c(bare), "a wrong CRC")
        at += 3 + len(value)


def crc32c(data):
    """RFC 4960, appendix B."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF
