"""MPEG transport streams (ISO/IEC 13818-1): when the first picture and sound of a segment are due."""

import struct

from valor_data.transfer.clock import Clock

_PACKET = 188
TURN_US = (1 << 33) * 100 // 9
"""After so long the clock begins anew."""


def is_transport(data: bytes) -> bool:
    """Whether bytes begin as a transport stream does."""
    return data[:1] == b"G" and data[_PACKET : _PACKET + 1] in (b"G", b"")


def clock_of(data: bytes) -> Clock | None:
    """The clock of a segment, from its first bytes; None where they do not show it."""
    picture_us = sound_us = None
    opens = False
    for at in range(0, len(data) - _PACKET + 1, _PACKET):
        packet = data[at : at + _PACKET]
        if packet[0] != 0x47:
            return None
        if not packet[1] & 0x40:  # no packet of a stream begins here
            continue
        has_field, body = packet[3] & 0x20, 4
        if has_field:
            body += 1 + packet[4]
        stamp = _stamp_us(packet[body:])
        if stamp is None:
            continue
        kind, us = stamp
        if kind == "picture" and picture_us is None:
            picture_us, opens = us, bool(has_field and packet[4] and packet[5] & 0x40)
        elif kind == "sound" and sound_us is None:
            sound_us = us
        if picture_us is not None and sound_us is not None:
            break
    if picture_us is None and sound_us is None:
        return None
    return Clock(picture_us, sound_us, opens or picture_us is None)


def _stamp_us(packet: bytes) -> tuple[str, int] | None:
    """(`picture` or `sound`, when it is due) of a packet of a stream that carries a time."""
    if len(packet) < 14 or packet[:3] != b"\0\0\1" or not packet[7] & 0x80:
        return None
    number = packet[3]
    is_sound = 0xC0 <= number <= 0xDF or number == 0xBD
    kind = "picture" if 0xE0 <= number <= 0xEF else "sound" if is_sound else ""
    high, middle, low = struct.unpack_from(">BHH", packet, 9)
    ticks = (high >> 1 & 7) << 30 | middle >> 1 << 15 | low >> 1
    return (kind, ticks * 100 // 9) if kind else None
