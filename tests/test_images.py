import os

import numpy as np
import pytest
from PIL import Image

from fsad import images

RED = (200, 30, 40)


def solid(mode="RGB", color=RED, size=(12, 10)):
    return Image.new(mode, size, color)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp"])
def test_formats_read_as_rgb(tmp_path, suffix):
    path = tmp_path / f"p{suffix}"
    solid().save(path, **({"quality": 95} if suffix in (".jpg", ".webp") else {}))
    picture = images.read(path)
    assert picture.shape == (10, 12, 3) and picture.dtype == np.uint8
    assert np.abs(picture.astype(int) - RED).max() <= 6


def test_gray_palette_and_alpha(tmp_path):
    solid("L", 77).save(tmp_path / "gray.png")
    assert (images.read(tmp_path / "gray.png") == 77).all()
    solid().convert("P").save(tmp_path / "palette.png")
    assert images.read(tmp_path / "palette.png").shape == (10, 12, 3)
    solid("RGBA", (*RED, 0)).save(tmp_path / "clear.png")
    assert (images.read(tmp_path / "clear.png") == 255).all()  # transparency is laid on white


def test_cmyk_jpeg_is_read_in_its_colour(tmp_path):
    solid("RGB", (255, 0, 0)).convert("CMYK").save(tmp_path / "p.jpg", quality=95)
    red, green, blue = images.read(tmp_path / "p.jpg")[5, 5].astype(int)
    assert red > 200 and green < 60 and blue < 60


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_keep_full_scale(tmp_path, suffix):
    values = np.tile(np.array([0, 257 * 100, 65535], np.uint16), (9, 3))
    Image.fromarray(values).save(tmp_path / f"p{suffix}")
    assert images.read(tmp_path / f"p{suffix}")[0, :3, 0].tolist() == [0, 100, 255]


def test_sixteen_bit_colour(tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "p.png"), np.full((9, 9, 3), (0, 257 * 50, 65535), np.uint16))
    assert images.read(tmp_path / "p.png")[0, 0].tolist() == [255, 50, 0]


def test_exif_turn_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate clockwise by 90 degrees to see it upright
    picture = np.zeros((10, 20, 3), np.uint8)
    picture[:, :10] = 255
    Image.fromarray(picture).save(tmp_path / "p.jpg", exif=exif, quality=95)
    upright = images.read(tmp_path / "p.jpg")
    assert upright.shape == (20, 10, 3)
    assert upright[3].min() > 240 and upright[-3].max() < 15


def test_unicode_path(tmp_path):
    path = tmp_path / "Prüfbild – 良品 №1.png"
    solid().save(path)
    assert images.read(path).shape == (10, 12, 3)


def bad_files(folder):
    good = folder / "good.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(good)
    (folder / "truncated.jpg").write_bytes(good.read_bytes()[:-600])
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(folder / "p.png")
    (folder / "truncated.png").write_bytes((folder / "p.png").read_bytes()[:-600])
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("not a picture")
    Image.new("L", (12000, 12000)).save(folder / "gigantic.png")
    solid(size=(1, 1)).save(folder / "one.png")
    Image.new("F", (9, 9)).save(folder / "float.tif")
    os.symlink(folder / "gone.png", folder / "link.png")
    return {
        "truncated.jpg": "truncated",
        "truncated.png": "truncated",
        "empty.png": "0 bytes",
        "text.png": "not a PNG",
        "gigantic.png": "12000 x 12000",
        "one.png": "1 x 1",
        "float.tif": "32 bits",
        "link.png": "link to a file that does not exist",
        "missing.png": "no such file",
    }


def test_bad_files_raise_one_error_that_names_file_and_reason(tmp_path):
    for name, reason in bad_files(tmp_path).items():
        with pytest.raises(images.ImageError) as caught:
            images.read(tmp_path / name)
        assert name in str(caught.value) and reason in caught.value.reason


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
@pytest.mark.parametrize("mode", ["L", "I;16"])
def test_turned_tiffs_are_upright_or_refused_never_garbled(tmp_path, compression, mode):
    picture = np.zeros((10, 20), np.uint16 if mode == "I;16" else np.uint8)
    picture[:, :10] = np.iinfo(picture.dtype).max
    Image.fromarray(picture).save(tmp_path / "p.tif", compression=compression, tiffinfo={0x0112: 6})
    if compression == "raw":
        with pytest.raises(images.ImageError, match="stored turned"):
            images.read(tmp_path / "p.tif")
    else:
        assert (images.read(tmp_path / "p.tif")[..., 0] == np.rot90(picture > 0, -1) * 255).all()


def test_sixteen_bit_png_is_turned_too(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = np.zeros((10, 20), np.uint16)
    picture[:, :10] = 65535
    Image.fromarray(picture).save(tmp_path / "p.png", exif=exif)
    assert (images.read(tmp_path / "p.png")[..., 0] == np.rot90(picture > 0, -1) * 255).all()


def test_damaged_exif_is_an_image_error_or_harmless(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 10)).save(tmp_path / "p.jpg", exif=exif)
    data = (tmp_path / "p.jpg").read_bytes()
    start = data.index(b"Exif")
    for position in range(start, start + 40):
        (tmp_path / "q.jpg").write_bytes(data[:position] + b"\xff" + data[position + 1 :])
        try:
            assert images.read(tmp_path / "q.jpg").shape[2] == 3
        except images.ImageError as error:
            assert "q.jpg" in str(error)


def test_read_all_keeps_order_and_names_the_first_bad_file(tmp_path):
    paths = []
    for k in range(5):
        solid("L", 10 * k).save(tmp_path / f"{k}.png")
        paths.append(tmp_path / f"{k}.png")
    assert images.read_all(paths, 8)[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40]
    (tmp_path / "3.png").write_bytes(b"")
    with pytest.raises(images.ImageError, match=r"3\.png"):
        images.read_all(paths, 8)


def test_write_then_read(tmp_path, rng):
    picture = rng.integers(0, 255, (9, 11, 3), np.uint8)
    images.write(tmp_path / "a" / "p.png", picture)
    assert (images.read(tmp_path / "a" / "p.png") == picture).all()
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["p.png"]


@pytest.mark.parametrize("high", [0, 1, 255])
def test_masks_of_one_and_of_255_read_alike(tmp_path, high):
    mask = np.zeros((10, 10), np.uint8)
    mask[2:4] = high
    images.write(tmp_path / "m.png", mask)
    assert (images.read_mask(tmp_path / "m.png") == (mask > 0)).all()
