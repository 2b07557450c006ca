import io
import zlib

import numpy as np
import pytest
from PIL import Image

from fsad.images import ImageError, decode_image


def encoded(image, format, **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, format, **options)
    return file.getvalue()


@pytest.fixture
def noise(rng):
    return rng.integers(0, 256, (64, 64, 3), np.uint8)


def test_jpegs_whose_codes_do_not_come_out_even_are_refused(noise):
    whole = encoded(noise, "JPEG", quality=90)
    assert np.array_equal(decode_image(whole, "p.jpg"), np.asarray(Image.open(io.BytesIO(whole))))
    middle = len(whole) // 2
    with pytest.raises(ImageError, match="Corrupt JPEG data"):
        decode_image(whole[:middle] + bytes(64) + whole[middle + 64 :], "p.jpg")


@pytest.mark.parametrize("mode", ["L", "CMYK"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_jpegs_of_all_colours_are_read_as_pillow_does(noise, mode, subsampling):
    file = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(file, "JPEG", subsampling=subsampling)
    expected = np.asarray(Image.open(file).convert("RGB"))
    assert np.array_equal(decode_image(file.getvalue(), "p.jpg"), expected)


@pytest.mark.parametrize("turn", range(1, 9))
def test_jpegs_are_turned_as_pillow_does(noise, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encoded(noise[:40], "JPEG", exif=exif)
    assert decode_image(data, "p.jpg").shape == ((40, 64, 3) if turn < 5 else (64, 40, 3))


def test_each_chunk_of_a_png_is_checked(noise):
    """Zeros over its rows: what is missing then is no error to a decoder that has all rows it can get."""
    whole = encoded(noise, "PNG")
    assert np.array_equal(decode_image(whole, "p.png"), noise)
    for start in range(len(whole) - 700, len(whole) - 40, 100):
        with pytest.raises(ImageError, match="damaged"):
            decode_image(whole[:start] + bytes(600) + whole[start + 600 :], "p.png")


@pytest.mark.parametrize("compression", ["tiff_adobe_deflate", "tiff_deflate", "jpeg"])
def test_strips_of_a_tiff_are_checked(noise, compression):
    whole = encoded(noise, "TIFF", compression=compression)
    assert decode_image(whole, "p.tif").shape == noise.shape
    damaged = whole[:1000] + bytes(200) + whole[1200:]
    with pytest.raises(ImageError, match="damaged"):
        decode_image(damaged, "p.tif")


def test_a_zlib_stream_of_other_values_is_known_by_its_checksum(noise):
    whole = encoded(noise, "TIFF", compression="tiff_adobe_deflate")
    start = whole.index(zlib.compress(noise.tobytes())[:2])
    stream = zlib.decompressobj()
    stream.decompress(whole[start:])
    end = len(whole) - len(stream.unused_data)
    with pytest.raises(ImageError, match="incorrect data check"):
        decode_image(whole[: end - 1] + bytes([whole[end - 1] ^ 1]) + whole[end:], "p.tif")


def test_tiffs_with_rows_that_are_nowhere_are_refused(noise):
    """Decoded as zeros otherwise."""
    whole = bytearray(encoded(noise, "TIFF"))
    entry = whole.index((278).to_bytes(2, "little"), int.from_bytes(whole[4:8], "little"))  # rows per strip
    whole[entry + 8] = 1
    with pytest.raises(ImageError, match="1 of its 64 strips or tiles are there"):
        decode_image(bytes(whole), "p.tif")
