"""Damage inside an image file that its decoder passes over in silence, found by what the file itself carries.

A JPEG has no checksum, but its codes must come out even: libjpeg warns where they do not, and Pillow drops the
warnings. A PNG has a checksum in each chunk and a zlib stream one at its end, which decoders that have all rows no
longer read. BMP, WebP and TIFFs without compression or with another one than zlib's and JPEG have nothing of the kind:
a changed byte in them is another image. So are those changes of a JPEG after which the codes come out even again
(``docs/reliability.md`` has the rates).
"""

import math
import zlib

import simplejpeg
from PIL import Image

_PIECE = 2**20  # bytes that a stream is unpacked at a time, to be thrown away
_ZLIB, _JPEG = (8, 32946), 7  # compressions of a TIFF
# Tags of a TIFF.
_WIDTH, _HEIGHT, _COMPRESSION, _OFFSETS, _SAMPLES, _ROWS, _COUNTS, _PLANES = 256, 257, 259, 273, 277, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS, _TABLES = 322, 323, 324, 325, 347


def checked(opened):
    """Checks a JPEG, PNG or TIFF that is opened, but not loaded yet; its place in the file stays.

    Args:
        opened: a `PIL.Image.Image` with its file.

    Returns:
        Pixels of a JPEG in gray or colour, uint8 RGB ``(height, width, 3)``, the same that Pillow decodes, since they
        were made for the check. None of another image.

    Raises:
        ValueError, OSError, SyntaxError, zlib.error: it is damaged inside.
    """
    if opened.format in ("JPEG", "MPO"):
        pixels = _jpeg(opened)
        return pixels if opened.mode in ("L", "RGB") else None
    if opened.format == "PNG":
        place = opened.fp.tell()
        opened.fp.seek(0)
        Image.open(opened.fp, formats=["PNG"]).verify()
        opened.fp.seek(place)
    elif opened.format == "TIFF":
        _check_tiff(opened)
    return None


def _content(opened):
    place = opened.fp.tell()
    opened.fp.seek(0)
    data = opened.fp.read()
    opened.fp.seek(place)
    return data


def _jpeg(opened):
    data, size = _content(opened), opened.size
    try:
        height, width = simplejpeg.decode_jpeg_header(data)[:2]
    except ValueError as error:
        if "subsampling" in str(error):  # of a kind that libjpeg-turbo's own interface does not take
            return None
        raise
    if (width, height) != size:
        raise ValueError(f"two sizes, {size[0]} x {size[1]} and {width} x {height}")
    return simplejpeg.decode_jpeg(data, "CMYK" if opened.mode == "CMYK" else "RGB")


def _check_tiff(opened):
    tags = opened.tag_v2
    width, height = tags[_WIDTH], tags[_HEIGHT]  # as stored: Pillow's may be turned
    if _TILE_OFFSETS in tags:
        offsets, counts = tags[_TILE_OFFSETS], tags[_TILE_COUNTS]
        expected = math.ceil(width / tags[_TILE_WIDTH]) * math.ceil(height / tags[_TILE_HEIGHT])
    else:
        offsets, counts = tags[_OFFSETS], tags.get(_COUNTS, ())
        expected = math.ceil(height / max(1, tags.get(_ROWS, height)))
    expected *= tags.get(_SAMPLES, 1) if tags.get(_PLANES) == 2 else 1
    if len(offsets) < expected:
        raise ValueError(f"{len(offsets)} of its {expected} strips or tiles are there")  # the rest would be zeros
    data = memoryview(_content(opened))
    parts = [data[start : start + count] for start, count in zip(offsets, counts, strict=False)]
    if any(len(part) < count for part, count in zip(parts, counts, strict=False)):
        raise ValueError("a strip or tile ends beyond the file")
    if tags.get(_COMPRESSION) in _ZLIB:
        for part in parts:
            _check_zlib(part)
    elif tags.get(_COMPRESSION) == _JPEG:
        tables = bytes(tags.get(_TABLES, b""))[:-2]  # without the mark of the end, nor that of the start after it
        for part in parts:
            simplejpeg.decode_jpeg(tables + bytes(part[2:] if tables else part))


def _check_zlib(data):
    stream = zlib.decompressobj()
    while len(data) and not stream.eof:
        stream.decompress(data, _PIECE)
        data = stream.unconsumed_tail
    if not stream.eof:
        raise ValueError("a zlib stream without its end")
