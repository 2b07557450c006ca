import os

import cv2
import numpy as np
import pytest
from PIL import Image

from fsad.files import FsadError
from fsad.images import ImageError, read_image, read_images, read_mask, resize, size_of, write_image

RED = (200, 30, 40)


def solid(mode="RGB", color=RED, size=(12, 10)):
    return Image.new(mode, size, color)


def half_white(dtype=np.uint8):
    """An image 20 wide and 10 high, its left half white."""
    image = np.zeros((10, 20), dtype)
    image[:, :10] = np.iinfo(dtype).max
    return image


def turned():
    """The EXIF of a camera that was turned: rotate clockwise by 90 degrees to see the image upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp"])
def test_formats_read_as_rgb(tmp_path, suffix):
    path = tmp_path / f"p{suffix}"
    solid().save(path, **({"quality": 95} if suffix in (".jpg", ".webp") else {}))
    image = read_image(path)
    assert image.shape == (10, 12, 3) and image.dtype == np.uint8
    assert np.abs(image.astype(int) - RED).max() <= 6


def test_gray_palette_and_transparency(tmp_path):
    solid("L", 77).save(tmp_path / "gray.png")
    assert (read_image(tmp_path / "gray.png") == 77).all()
    solid().convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "palette.png")
    assert (read_image(tmp_path / "palette.png") == RED).all()
    solid("RGBA", (*RED, 0)).save(tmp_path / "clear.png")
    assert (read_image(tmp_path / "clear.png") == 255).all()


def test_cmyk_jpeg_is_read_in_its_colour(tmp_path):
    solid("RGB", (255, 0, 0)).convert("CMYK").save(tmp_path / "p.jpg", quality=95)
    red, green, blue = read_image(tmp_path / "p.jpg")[5, 5].astype(int)
    assert red > 200 and green < 60 and blue < 60


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_keep_full_scale(tmp_path, suffix):
    values = np.tile(np.array([0, 257 * 100, 65535], np.uint16), (9, 3))
    Image.fromarray(values).save(tmp_path / f"p{suffix}")
    assert read_image(tmp_path / f"p{suffix}")[0, :3, 0].tolist() == [0, 100, 255]


def test_sixteen_bit_colour(tmp_path):
    cv2.imwrite(str(tmp_path / "p.png"), np.full((9, 9, 3), (0, 257 * 50, 65535), np.uint16))
    assert read_image(tmp_path / "p.png")[0, 0].tolist() == [255, 50, 0]


@pytest.mark.parametrize(("suffix", "dtype"), [(".jpg", np.uint8), (".png", np.uint8), (".png", np.uint16)])
def test_exif_turn_is_applied(tmp_path, suffix, dtype):
    path = tmp_path / f"p{suffix}"
    Image.fromarray(half_white(dtype)).save(path, exif=turned(), **({"quality": 95} if suffix == ".jpg" else {}))
    upright = read_image(path)
    assert upright.shape == (20, 10, 3) and upright[:8].min() > 240 and upright[12:].max() < 15


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_turned_tiffs_are_upright_or_refused_never_garbled(tmp_path, compression, dtype):
    Image.fromarray(half_white(dtype)).save(tmp_path / "p.tif", compression=compression, tiffinfo={0x0112: 6})
    if compression == "raw":
        with pytest.raises(ImageError, match="stored turned"):
            read_image(tmp_path / "p.tif")
    else:
        assert (read_image(tmp_path / "p.tif")[..., 0] == np.rot90(half_white(), -1)).all()


def test_unicode_path(tmp_path):
    path = tmp_path / "Prüfbild – 良品 №1.png"
    solid().save(path)
    assert (read_image(path) == RED).all()


def bad_files(folder):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    for suffix in (".jpg", ".png"):
        noise.save(folder / f"whole{suffix}")
        (folder / f"truncated{suffix}").write_bytes((folder / f"whole{suffix}").read_bytes()[:-600])
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("not an image")
    (folder / "folder.png").mkdir()
    Image.new("1", (12000, 12000)).save(folder / "gigantic.png")
    solid(size=(20, 7)).save(folder / "low.png")
    Image.new("F", (9, 9)).save(folder / "float.tif")
    os.symlink(folder / "gone.png", folder / "link.png")
    return {
        "truncated.jpg": "truncated",
        "truncated.png": "truncated",
        "empty.png": "0 bytes",
        "text.png": "not a PNG",
        "folder.png": "a folder",
        "gigantic.png": "at most 100 megapixels. Received: 12000 x 12000",
        "low.png": "at least 8 pixels per side. Received: 20 x 7",
        "float.tif": "32 bits",
        "link.png": "link to a file that does not exist",
        "missing.png": "no such file",
    }


def test_bad_files_raise_one_error_that_names_file_and_reason(tmp_path):
    for name, reason in bad_files(tmp_path).items():
        with pytest.raises(ImageError) as caught:
            read_image(tmp_path / name)
        assert name in str(caught.value) and reason in caught.value.reason
    assert issubclass(ImageError, FsadError) and issubclass(ImageError, ValueError)


def test_damaged_exif_is_an_image_error_or_harmless(tmp_path):
    Image.new("RGB", (20, 10)).save(tmp_path / "p.jpg", exif=turned())
    data = (tmp_path / "p.jpg").read_bytes()
    start = data.index(b"Exif")
    for position in range(start, start + 40):
        (tmp_path / "q.jpg").write_bytes(data[:position] + b"\xff" + data[position + 1 :])
        try:
            assert read_image(tmp_path / "q.jpg").shape[2] == 3
        except ImageError as error:
            assert "q.jpg" in str(error)


def test_resizes_by_area_when_shrinking_and_bilinearly_when_growing():
    image = np.zeros((6, 9, 3), np.uint8)
    image[:2, 0] = 63  # 2 of 3 x 3 pixels
    image[5, 8] = 14  # 1 of 9, which rounds up
    assert resize(image[:, 3:], 2)[..., 0].tolist() == [[0, 0], [0, 2]]
    assert resize(image[:, :6], 2)[..., 0].tolist() == [[14, 0], [0, 0]]
    row = np.tile(np.array([0, 100], np.uint8)[:, None], (2, 1, 3))
    assert resize(row, 4)[0, :, 0].tolist() == [0, 25, 75, 100]
    assert resize(row, 2) is row


@pytest.mark.parametrize("shape", [(46, 34), (69, 51), (92, 68), (46, 51), (30, 40), (211, 100)])
def test_whole_numbers_shrink_as_float32_rounded_half_to_even(shape, rng):
    """Halving is where OpenCV's own whole numbers differ: (0 + 1) / 2 is 0.5, which rounds to 0."""
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    exact = resize(image.astype(np.float32), (23, 17))
    assert np.array_equal(resize(image, (23, 17)), exact)
    assert resize(np.repeat(np.array([[0, 0], [1, 1]], np.uint8), 8, 1), (1, 8)).max() == 0


def test_read_images_keeps_order_and_names_the_first_bad_file(tmp_path):
    paths, steps = [tmp_path / f"{k}.png" for k in range(5)], []
    for k, path in enumerate(paths):
        solid("L", 10 * k).save(path)
    images = read_images(paths, 8, progress=steps.append)
    assert images.shape == (5, 8, 8, 3) and images[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40] and steps == [1] * 5
    for k in (3, 4):
        paths[k].write_bytes(b"")
    with pytest.raises(ImageError, match=r"3\.png"):
        read_images(paths, 8)


def test_write_then_read(tmp_path, rng):
    image = rng.integers(0, 255, (9, 11, 3), np.uint8)
    write_image(tmp_path / "a" / "p.png", image)
    assert (read_image(tmp_path / "a" / "p.png") == image).all() and os.listdir(tmp_path / "a") == ["p.png"]
    write_image(tmp_path / "gray.png", image[..., 0])
    assert (read_image(tmp_path / "gray.png") == image[..., :1]).all()


@pytest.mark.parametrize("high", [0, 1, 255])
def test_masks_of_one_and_of_255_read_alike(tmp_path, high):
    mask = np.zeros((10, 10), np.uint8)
    mask[2:4] = high
    write_image(tmp_path / "m.png", mask)
    assert (read_mask(tmp_path / "m.png") == (mask > 0)).all()


def test_pipes_and_devices_are_refused_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    for name in ("pipe.png", "zero.png"):
        with pytest.raises(ImageError, match="Received: a pipe, a socket or a device"):
            read_image(tmp_path / name)
        assert size_of(tmp_path / name) is None
