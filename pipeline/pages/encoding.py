"""Bytes of unknown Chinese encoding to text."""

from __future__ import annotations

import codecs

from ..errors import InputError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 200_000
_CHINESE = {"gb18030": "gb18030", "gbk": "gb18030", "gb2312": "gb18030", "big5": "big5hkscs", "hz-gb-2312": "hz"}
_BINARY = (b"%PDF", b"PK\x03\x04", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"\x7fELF", b"\x1f\x8b", b"RIFF")


def decode(data: bytes, name: str) -> tuple[str, str]:
    """Text and encoding name of ``data``; what the page itself declares is not trusted.

    ``name`` (a path, or ``-``) is used in messages. Raises ``InputError`` for content that is not text.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _strict(data, encoding, name), encoding
    if data.startswith(_BINARY) or b"\x00" in data[:_SAMPLE]:
        raise InputError(f"{name}: binary content, not text. Give an HTML page or a text file.", code="E_INPUT_BINARY")
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        # A file cut in the middle of a character, or with a few damaged bytes, is still UTF-8.
        damaged = error.start
    from resiliparse.parse.encoding import detect_encoding

    detected = _CHINESE.get(detect_encoding(data[:_SAMPLE]) or "", "")
    for encoding in dict.fromkeys((detected or "gb18030", "gb18030", "big5hkscs")):
        try:
            return data.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    for encoding in ("utf-8", detected or "gb18030"):
        text = data.decode(encoding, errors="replace")
        if text.count("\ufffd") <= max(1, len(text) // 200):
            return text, encoding
    raise InputError(
        f"{name}: neither UTF-8 nor a Chinese encoding (first bad byte at {damaged}). Convert it to UTF-8 first.",
        code="E_INPUT_ENCODING",
    )


def _strict(data: bytes, encoding: str, name: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name}: marked as {encoding} but byte {error.start} is not. Save it as UTF-8.",
            code="E_INPUT_ENCODING",
        ) from error
