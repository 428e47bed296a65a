"""The bytes of a plain USTAR archive: what a header holds and what a member takes."""

from collections.abc import Iterable

BLOCK = 512
END = bytes(2 * BLOCK)
EMPTY_BYTES = len(END)
"""Bytes of a shard without samples."""
LARGEST = 8**11 - 1
"""Bytes of the largest member: USTAR's size field has eleven octal digits, 8 GiB."""
RECORD = 20 * BLOCK
"""Other writers pad a tar to this."""


def padded(length: int) -> int:
    """Bytes that content of this length takes behind its header."""
    return length + -length % BLOCK


def sample_bytes(lengths: Iterable[int]) -> int:
    """Bytes that a sample with members of these lengths takes in a shard."""
    return sum(BLOCK + padded(length) for length in lengths)


def _template() -> bytes:
    made = bytearray(BLOCK)
    made[100:108] = b"0000644\0"  # mode
    made[108:124] = b"0000000\0" * 2  # uid, gid
    made[136:148] = b"00000000000\0"  # mtime
    made[148:156] = b" " * 8  # the checksum counts its own field as spaces
    made[156:157] = b"0"  # a regular file
    made[257:265] = b"ustar\00000"  # magic and version; all else stays empty
    return bytes(made)


_TEMPLATE = _template()
_TEMPLATE_SUM = sum(_TEMPLATE)


def header(name: bytes, size: int) -> bytes:
    """The header of a member."""
    digits = b"%011o" % size
    checksum = b"%06o\0 " % (_TEMPLATE_SUM + sum(name) + sum(digits))
    return b"".join(
        (name.ljust(100, b"\0"), _TEMPLATE[100:124], digits, _TEMPLATE[135:148], checksum, _TEMPLATE[156:])
    )


def fits(found: bytes, name: bytes, size: int) -> bool:
    """Whether 512 bytes begin a member of this name and size: what a reader by index looks at."""
    return found.startswith(name + b"\0") and found[124:135] == b"%011o" % size
