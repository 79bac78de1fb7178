"""UTF-8 as Arrow holds it, turned into code points."""

from __future__ import annotations

from .jit import Array


def decode(data: Array, places: Array, chars: Array, offsets: Array) -> int:
    """Code points of the texts ``data[places[i]:places[i + 1]]`` (uint8, int64) into ``chars`` (int32), one behind the other.

    ``offsets`` (int64, as long as ``places``) gets where each begins in ``chars``, which must have room for one a byte. Returns
    -1, or the number of the first text that is not UTF-8 as the standard has it: neither overlong, nor surrogates, nor cut.
    """
    count = 0
    for text in range(len(places) - 1):
        offsets[text] = count
        at = places[text]
        end = places[text + 1]
        while at < end:
            first = int(data[at])
            if first < 0x80:
                chars[count] = first
                at += 1
            elif 0xE0 <= first < 0xF0 and at + 3 <= end:
                second = int(data[at + 1]) ^ 0x80
                third = int(data[at + 2]) ^ 0x80
                code = (first & 0xF) << 12 | second << 6 | third
                if (second | third) >= 0x40 or code < 0x800 or 0xD800 <= code < 0xE000:
                    return text
                chars[count] = code
                at += 3
            elif 0xC2 <= first < 0xE0 and at + 2 <= end:
                second = int(data[at + 1]) ^ 0x80
                if second >= 0x40:
                    return text
                chars[count] = (first & 0x1F) << 6 | second
                at += 2
            elif 0xF0 <= first < 0xF5 and at + 4 <= end:
                second = int(data[at + 1]) ^ 0x80
                third = int(data[at + 2]) ^ 0x80
                fourth = int(data[at + 3]) ^ 0x80
                code = (first & 0x7) << 18 | second << 12 | third << 6 | fourth
                if (second | third | fourth) >= 0x40 or not 0x10000 <= code < 0x110000:
                    return text
                chars[count] = code
                at += 4
            else:
                return text
            count += 1
    offsets[len(places) - 1] = count
    return -1
