"""One list as a file: where it lies, how it is packed, which encoding its text is in.

A list is read several times (digest, encoding, form, rows), so an address is fetched to a temporary
file first. Unpacking and decoding stream; the whole text never stands in memory.
"""

import bz2
import codecs
import contextlib
import gzip
import hashlib
import io
import lzma
import re
import tempfile
import weakref
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TextIO
from urllib.parse import unquote, urlsplit

from valor_data.errors import UserError
from valor_data.segments import encodings

_BLOCK = 1 << 20
_SAMPLE = 16_384
_HEAD = 65_536
_TIMEOUT_S = (15, 120)

_PACKED: tuple[tuple[bytes, Callable[[IO[bytes]], Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)
_NO_LISTS = (  # (offset, magic, what it is and the mend)
    (0, b"PK\x03\x04", "a zip archive or an Excel workbook; unpack it, or save the sheet as CSV (UTF-8)"),
    (0, b"\xd0\xcf\x11\xe0", "an old Excel workbook; save the sheet as CSV (UTF-8)"),
    (0, b"%PDF", "a PDF"),
    (0, b"(\xb5/\xfd", "packed with zstd; unpack it first: zstd -d FILE"),
    (0, b"7z\xbc\xaf'\x1c", "a 7z archive; unpack it first"),
    (0, b"Rar!", "a rar archive; unpack it first"),
    (257, b"ustar", "a tar archive; unpack it first"),
    (4, b"ftyp", "a video; name it in a list, as a row with its address"),
)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\x1a\x1b"))  # NUL and what no text holds
_WORDS = re.compile(rb"(?:^|[\x00-\x7f])[\x80-\xff][^\x00-\x2f]*")
"""Words with non-ASCII bytes. A byte after an ASCII one begins a character, one under 0x30 ends it."""
_UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError)


class Source:
    """A list on disk. `shown` names it in messages, `name` is its file name without the folder."""

    def __init__(self, path: str, encoding: str | None = None) -> None:
        """Fetch an address, digest the file, recognise packing and encoding. Raises UserError."""
        self.shown = path
        if "://" in path:
            address = urlsplit(path)
            self.shown = address._replace(query="", fragment="").geturl()  # a query may hold a secret
            self.name = Path(unquote(address.path)).name or address.netloc
            with self.told():
                self.path = self._fetched(path)
        else:
            self.name = Path(path).name
            self.path = Path(path)
        with self.told():
            if self.path.exists() and not self.path.is_file():
                raise UserError(f"{self.shown}: not a regular file. Give the path of a segment list.")
            with self.path.open("rb") as file:
                self.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                file.seek(0)
                magic = file.read(8)
            self._unpack = next((unpack for mark, unpack in _PACKED if magic.startswith(mark)), None)
            with self.bytes() as data:
                self._head = data.read(_HEAD)
            self.is_parquet = self._head.startswith(b"PAR1")
            if not self._head:
                raise UserError(f"{self.shown}: the file is empty. It needs at least one row.")
            if self.is_parquet and self._unpack:
                raise UserError(f"{self.shown}: Parquet inside another packing; unpack it first.")
            self.encoding = "" if self.is_parquet else self._encoding(encoding)

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Turns what the file system and the unpackers raise into one line for the person."""
        try:
            yield
        except FileNotFoundError:
            raise UserError(f"{self.shown}: no such file. Check the path of the list.") from None
        except _UNREADABLE as error:
            why = getattr(error, "strerror", None) or error
            raise UserError(f"{self.shown}: not readable: {why}. Is the file whole?") from error

    @contextlib.contextmanager
    def bytes(self) -> Iterator[IO[bytes]]:
        """The unpacked bytes."""
        with self.path.open("rb") as file:
            if self._unpack is None:
                yield file
            else:
                with self._unpack(file) as unpacked:
                    yield unpacked

    @contextlib.contextmanager
    def text(self) -> Iterator[TextIO]:
        """The text, line ends as they stand; `encodings.BAD_BYTE` where bytes are no text."""
        with self.bytes() as data:
            yield io.TextIOWrapper(data, self.encoding, errors=encodings.MARK_BAD_BYTES, newline="")

    def head(self) -> str:
        """The beginning of the text, at most 64 KiB; a line may be cut at its end."""
        with self.told(), self.text() as text:
            return text.read(_HEAD).removeprefix("\ufeff")

    def _fetched(self, address: str) -> Path:
        """The address's file as a temporary one that goes when this object does."""
        if not address.lower().startswith(("http://", "https://")):
            raise UserError(f"{self.shown}: lists are read from a local path or over http(s); copy it first.")
        import requests  # heavy, and only for lists that lie elsewhere

        with tempfile.NamedTemporaryFile(prefix="valor-data-list-", delete=False) as file:
            temporary = Path(file.name)
        weakref.finalize(self, temporary.unlink, missing_ok=True)
        try:
            with (
                temporary.open("wb") as file,
                requests.get(address, stream=True, timeout=_TIMEOUT_S) as answer,
            ):
                if not answer.ok:
                    raise UserError(
                        f"{self.shown}: HTTP {answer.status_code}. Check the address of the list."
                    )
                for block in answer.iter_content(_BLOCK):
                    file.write(block)
        except requests.RequestException as error:
            raise UserError(
                f"{self.shown}: no answer ({type(error).__name__}). Check the address."
            ) from error
        return temporary

    def _encoding(self, asked: str | None) -> str:
        """Byte-order mark, else what the recipe says, else UTF-8 if the whole file holds it, else a guess."""
        for mark, codec in _BOMS:
            if self._head.startswith(mark):
                return codec
        for offset, magic, what in _NO_LISTS:
            if self._head.startswith(magic, offset):
                raise UserError(f"{self.shown}: this is {what}.")
        if asked:
            return self._known(asked)
        nuls = [self._head[parity::2].count(0) for parity in (0, 1)]
        if sum(nuls) > len(self._head) // 4 and min(nuls) * 20 < max(nuls):
            return "utf-16-be" if nuls[0] > nuls[1] else "utf-16-le"  # ASCII signs in 16 bits, no mark
        if len(self._head.translate(None, _CONTROL)) < len(self._head) * 0.98:
            raise UserError(
                f"{self.shown}: binary data, not a segment list. Give a text list (CSV, JSON) or Parquet."
            )
        return "utf-8" if self._is_utf8() else self._legacy()

    def _known(self, asked: str) -> str:
        try:
            "".encode(asked)
            return codecs.lookup(asked).name
        except (LookupError, ValueError):
            raise UserError(
                f"{self.shown}: unknown encoding {asked!r}. Python's names hold, such as utf-8, cp949, cp932."
            ) from None

    def _is_utf8(self) -> bool:
        decoder = codecs.getincrementaldecoder("utf-8")()
        with self.bytes() as data:
            try:
                while block := data.read(_BLOCK):
                    decoder.decode(block)
                decoder.decode(b"", final=True)
            except UnicodeDecodeError:
                return False
        return True

    def _legacy(self) -> str:
        """UTF-8 still where most of the non-ASCII text is (damaged rows are told one by one)."""
        valid = runs = 0
        sample = bytearray()
        with self.bytes() as data:
            while block := data.read(_BLOCK):
                good, all_ = encodings.utf8_share(block)
                valid, runs = valid + good, runs + all_
                if len(sample) < _SAMPLE:
                    sample += b" ".join(_WORDS.findall(block))[:_SAMPLE] + b" "
        if valid * 2 > runs:
            return "utf-8"
        codec = encodings.guess(bytes(sample))
        if codec is None:
            raise UserError(
                f"{self.shown}: the text's encoding is not one of {', '.join(encodings.KNOWN)}; "
                'name it in the recipe: encoding = "..." under [[segments.lists]].'
            )
        return codec
