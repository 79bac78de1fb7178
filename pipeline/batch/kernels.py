"""Compiled loops over lines of JSON: finding the judged field, and putting the verdict after each line.

Both do what :mod:`pipeline.batch.lines` and :mod:`pipeline.batch.sinks` do in Python. :func:`scan` takes only lines in which nothing
is out of the ordinary, of which ``msgspec`` would say the same, and leaves every other block to it. Needs the extra ``fast``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..compiled.entries import cache_folder, first_use
from ..compiled.jit import entry

Array = npt.NDArray[Any]

TEXT, URL, ID = range(3)  # numbers of the names that :func:`scan` is given first; all others may not occur
_DEEPEST = 32
_LONGEST_NUMBER = 15


class Kernels(NamedTuple):
    """Compiled functions: ``scan`` and ``assemble`` of this module."""

    scan: Callable[..., int]
    assemble: Callable[..., int]


@cache
def kernels() -> Kernels:
    """The functions, from numba's cache if it can be read, else compiled anew for this process."""
    made = Kernels(entry(scan, cache=True), entry(assemble, cache=True))
    try:
        with first_use(cache_folder(made.scan), sha256(Path(__file__).read_bytes()).hexdigest(), long=False):
            _try(made)
    except Exception:
        made = Kernels(entry(scan, cache=False), entry(assemble, cache=False))
        _try(made)
    return made


def _try(made: Kernels) -> None:
    """Call both, so that whatever is wrong with them shows."""
    block = b'{"text":""}\n'
    ends = np.zeros(1, dtype=np.int64)
    numbers = np.zeros(2, dtype=np.int32)
    room = np.empty(16, dtype=np.uint8)
    given = np.frombuffer(block, dtype=np.uint8)
    name = np.frombuffer(b"text", dtype=np.uint8)
    made.scan(given, name, np.array([len(name)]), 9, room, numbers, room.copy(), numbers.copy(), room.copy(), ends)
    made.assemble(given, ends, ends[:0].copy(), name, np.array([len(name)]), room)


def scan(
    block: Array,
    names: Array,
    name_ends: Array,
    longest: int,
    texts: Array,
    text_ends: Array,
    urls: Array,
    url_ends: Array,
    url_there: Array,
    line_ends: Array,
) -> int:
    """Judged fields and hosts of a block of lines, each a JSON object from its first byte to its last.

    ``block`` UTF-8 that ends with a line end; ``names`` (bytes, one after the other until ``name_ends``) of the judged field, the
    URL, the id, and of fields that may not occur; ``texts`` and ``urls`` take the strings, ``text_ends`` and ``url_ends`` (one more
    than lines) where they end, ``url_there`` whether there is one, ``line_ends`` where lines end. Returns the number of lines, or -1
    for a block that has to be looked at otherwise: lines that are bad, and also good ones that are unusual.
    """
    at = 0
    size = len(block)
    count = 0
    texts_at = 0
    urls_at = 0
    while at < size:
        if count == len(line_ends) or block[at] != 123:  # {
            return -1
        at += 1
        found_text = False
        found_url = False
        found_id = False
        depth = 1
        arrays = 0  # bit k: level k is an array
        expects = 1  # 0 comma or end, 1 key or end, 2 key, 3 value or end, 4 value
        field = -1
        while depth:
            c = block[at]
            if c == 32 or c == 9:
                at += 1
                continue
            if expects == 0 or (expects == 1 and c == 125) or (expects == 3 and c == 93):
                in_array = (arrays >> depth) & 1
                if c == 44 and expects == 0:  # ,
                    expects = 4 if in_array else 2
                elif (c == 125 and not in_array) or (c == 93 and in_array):
                    arrays &= ~(1 << depth)
                    depth -= 1
                    expects = 0
                else:
                    return -1
                at += 1
                continue
            if expects <= 2:
                # a key
                if c != 34:
                    return -1
                at += 1
                start = at
                while block[at] != 34:
                    if block[at] < 32 or block[at] == 92:
                        return -1
                    at += 1
                if depth == 1:
                    field = -1
                    length = at - start
                    first = 0
                    for k in range(len(name_ends)):
                        if name_ends[k] - first == length:
                            same = True
                            for i in range(length):
                                if names[first + i] != block[start + i]:
                                    same = False
                                    break
                            if same:
                                field = k
                                break
                        first = name_ends[k]
                    if field > 2:
                        return -1
                at += 1
                while block[at] == 32 or block[at] == 9:
                    at += 1
                if block[at] != 58:  # :
                    return -1
                at += 1
                expects = 4
                continue
            # a value
            expects = 0
            wanted = field if depth == 1 else -1
            if c == 34:
                at += 1
                start = at
                # Where the string is wanted, it is copied on the way.
                into = texts_at if wanted == 0 else urls_at
                while True:
                    c = block[at]
                    if c == 34:
                        break
                    if c < 32:
                        return -1
                    if c != 92:
                        if wanted == 0:
                            texts[into] = c
                        elif wanted == 1:
                            urls[into] = c
                        into += 1
                        at += 1
                        continue
                    c = block[at + 1]
                    at += 2
                    if c == 117:  # u
                        code = 0
                        paired = False
                        while True:
                            part = 0
                            for i in range(4):
                                d = block[at + i]
                                if 48 <= d <= 57:
                                    d -= 48
                                elif 97 <= d <= 102:
                                    d -= 87
                                elif 65 <= d <= 70:
                                    d -= 55
                                else:
                                    return -1
                                part = part * 16 + d
                            at += 4
                            if paired:
                                if part < 0xDC00 or part > 0xDFFF:
                                    return -1
                                code = 0x10000 + ((code - 0xD800) << 10) + (part - 0xDC00)
                                break
                            code = part
                            if code < 0xD800 or code > 0xDFFF:
                                break
                            if code > 0xDBFF or block[at] != 92 or block[at + 1] != 117:
                                return -1
                            at += 2
                            paired = True
                    elif c == 110:
                        code = 10
                    elif c == 34 or c == 92 or c == 47:
                        code = int(c)
                    elif c == 116:
                        code = 9
                    elif c == 114:
                        code = 13
                    elif c == 98:
                        code = 8
                    elif c == 102:
                        code = 12
                    else:
                        return -1
                    if code < 0x80:
                        width = 1
                        lead = 0
                    elif code < 0x800:
                        width = 2
                        lead = 0xC0
                    elif code < 0x10000:
                        width = 3
                        lead = 0xE0
                    else:
                        width = 4
                        lead = 0xF0
                    if wanted == 0 or wanted == 1:
                        for i in range(width):
                            rest = code >> (6 * (width - 1 - i))
                            byte = rest | lead if i == 0 else (rest & 0x3F) | 0x80
                            if wanted == 0:
                                texts[into + i] = byte
                            else:
                                urls[into + i] = byte
                    into += width
                at += 1
                if wanted == 0:
                    if found_text or into - texts_at > longest:
                        return -1
                    found_text = True
                    texts_at = into
                elif wanted == 1 and not found_url:
                    url_there[count] = 1
                    urls_at = into
            elif wanted == 0:
                return -1
            elif c == 123 or c == 91:  # { [
                if wanted > 0 or depth == _DEEPEST:
                    return -1
                depth += 1
                if c == 91:
                    arrays |= 1 << depth
                    expects = 3
                else:
                    expects = 1
                at += 1
            elif (c == 116 and block[at + 1] == 114 and block[at + 2] == 117 and block[at + 3] == 101) or (
                c == 110 and block[at + 1] == 117 and block[at + 2] == 108 and block[at + 3] == 108
            ):
                at += 4
            elif (
                c == 102
                and block[at + 1] == 97
                and block[at + 2] == 108
                and block[at + 3] == 115
                and block[at + 4] == 101
            ):
                at += 5
            else:
                start = at
                if c == 45:
                    at += 1
                first_digit = at
                while 48 <= block[at] <= 57:
                    at += 1
                digits = at - first_digit
                if digits == 0 or (digits > 1 and block[first_digit] == 48):
                    return -1
                if block[at] == 46:
                    at += 1
                    fraction = at
                    while 48 <= block[at] <= 57:
                        at += 1
                    if at == fraction:
                        return -1
                # One that is looked at must be of moderate size.
                if wanted > 0 and (at - start > _LONGEST_NUMBER or block[at] == 101 or block[at] == 69):
                    return -1
                if block[at] == 101 or block[at] == 69:
                    at += 1
                    if block[at] == 43 or block[at] == 45:
                        at += 1
                    exponent = at
                    while 48 <= block[at] <= 57:
                        at += 1
                    if at == exponent:
                        return -1
            if wanted == 1:
                if found_url:
                    return -1
                found_url = True
            if wanted == 2:
                if found_id:
                    return -1
                found_id = True
        if not found_text or block[at] != 10:
            return -1
        at += 1
        line_ends[count] = at
        count += 1
        text_ends[count] = texts_at
        url_ends[count] = urls_at
    return count


def assemble(block: Array, line_ends: Array, special: Array, tails: Array, tail_ends: Array, out: Array) -> int:
    """Lines of a block with another end each in the place of ``}`` and the line end; returns the bytes written to ``out``.

    ``tails`` one after the other until ``tail_ends``: first that of most lines, then one for each of the lines ``special``.
    """
    begin = 0
    to = 0
    following = 0
    for line in range(len(line_ends)):
        end = line_ends[line] - 2
        out[to : to + end - begin] = block[begin:end]
        to += end - begin
        begin = line_ends[line]
        first = 0
        last = tail_ends[0]
        if following < len(special) and special[following] == line:
            first = tail_ends[following]
            following += 1
            last = tail_ends[following]
        out[to : to + last - first] = tails[first:last]
        to += last - first
    return to
