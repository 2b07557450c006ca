"""Any image file -> RGB. The only reader of pixels, and the only place that knows a file can be bad.

Decoding is Pillow's, which refuses truncated files where other decoders fill the rest with gray; what it lets pass of
damage inside a file, `fsad.damage` finds.
"""

import io
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fsad import damage
from fsad.files import FsadError, atomic_file

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
MAX_PIXELS = 100_000_000
MAX_BATCH = 2**22  # pixels that a network is given at a time
MIN_SIDE = 8

# Pillow warns of sizes that are refused here anyway.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)

_TURN = 0x0112  # EXIF's number of how a camera was held
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")


class ImageError(FsadError, ValueError):
    """An image file that cannot be used. The message names the file and the reason."""

    def __init__(self, path, reason):
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = str(path), reason


def read_image(path):
    """Reads an image as a person would see it.

    PNG, JPEG, BMP, TIFF and WebP; gray, palette, CMYK and RGB; 8 or 16 bits per channel (16 bits are
    divided by 257, so that full scale stays full scale); transparency is laid on white; the EXIF turn
    is applied; of several frames the first is taken.

    Returns:
        uint8 RGB, shape ``(height, width, 3)``, values in [0, 255].

    Raises:
        ImageError: missing, unreadable, empty, truncated, damaged inside as far as that can be known (`fsad.damage`),
            not an image, over `MAX_PIXELS` pixels, under `MIN_SIDE` pixels per side, or floating-point or 32-bit
            pixels.
    """
    return _decode(path, _rgb)


def decode_image(data, name):
    """The same of the bytes of a file, ``data``; ``name`` stands for the file in errors."""
    if not data:
        raise _empty(name)
    return _opened(name, io.BytesIO(data), _rgb)


def pixels_of(data):
    """How many pixels the bytes of an image file decode to, by its header alone; 0 if that is unreadable."""
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
            return opened.size[0] * opened.size[1]
    except Exception:  # whoever decodes it says what is wrong
        return 0


def size_of(path):
    """``(width, height)`` of an image as `read_image` gives it, from its header alone; None if that is unreadable."""
    try:
        if not Path(path).is_file():  # a pipe that nobody writes to would be waited for
            return None
        with Image.open(path, formats=_FORMATS) as opened:
            turned = opened.getexif().get(_TURN, 1) > 4
            return opened.size[::-1] if turned else opened.size
    except Exception:  # whoever reads it says what is wrong
        return None


def read_mask(path):
    """Reads a mask: bool of shape ``(height, width)``, True above half of its largest value.

    So masks of 0 and 255 and masks of 0 and 1 read alike; a mask without any value above 0 is False
    throughout. Raises `ImageError` as `read_image` does.
    """
    mask = read_image(path).max(axis=-1)
    return mask > mask.max() / 2


def _rgb(path, decoded):
    if decoded.mode in ("I", "F"):
        raise ImageError(path, f"expected 8 or 16 bits per channel. Received: 32 bits (mode {decoded.mode})")
    if decoded.format == "TIFF" and decoded.tag_v2.get(_TURN, 1) > 4 and decoded.info.get("compression") == "raw":
        # Pillow decodes these at the size they will have once turned, which garbles them.
        raise ImageError(path, "an uncompressed TIFF that is stored turned; save it upright or compressed")
    pixels = damage.checked(decoded)
    if pixels is not None:
        turn = decoded.getexif().get(_TURN, 1)
        if turn == 1:
            return pixels
        decoded = Image.fromarray(pixels)
        decoded.getexif()[_TURN] = turn
    decoded.load()
    ImageOps.exif_transpose(decoded, in_place=True)
    if decoded.mode.startswith("I;16"):
        decoded = Image.fromarray(((np.asarray(decoded).astype(np.uint32) + 128) // 257).astype(np.uint8))
    if decoded.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in decoded.info:
        decoded = decoded.convert("RGBA")
        decoded = Image.alpha_composite(Image.new("RGBA", decoded.size, (255, 255, 255, 255)), decoded)
    return np.array(decoded if decoded.mode == "RGB" else decoded.convert("RGB"))


def _decode(path, use):
    """``use(path, opened image)``, with whatever goes wrong turned into an `ImageError`."""
    path = Path(path)
    try:
        if not path.exists():
            raise ImageError(path, "a link to a file that does not exist" if path.is_symlink() else "no such file")
        if path.is_dir():
            raise ImageError(path, "expected an image file. Received: a folder")
        if not path.is_file():
            raise ImageError(path, "expected an image file. Received: a pipe, a socket or a device")
        if path.stat().st_size == 0:
            raise _empty(path)
    except ImageError:
        raise
    except PermissionError:
        raise ImageError(path, "no permission to read it") from None
    except (OSError, ValueError) as error:  # a name that no file can have
        raise ImageError(path, f"cannot be read ({error})") from None
    return _opened(path, path, use)


def _opened(path, file, use):
    try:
        with Image.open(file, formats=_FORMATS) as opened:
            width, height = opened.size
            if width * height > MAX_PIXELS:
                raise _gigantic(path, f"{width} x {height}")
            if min(width, height) < MIN_SIDE:
                raise ImageError(path, f"expected at least {MIN_SIDE} pixels per side. Received: {width} x {height}")
            return use(path, opened)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise _gigantic(path, str(error)) from None
    except UnidentifiedImageError:
        raise ImageError(path, "not a PNG, JPEG, BMP, TIFF or WebP image") from None
    except PermissionError:
        raise ImageError(path, "no permission to read it") from None
    # Decoders raise what they like on damaged bytes (OSError, SyntaxError, struct.error, EOFError, ...).
    except Exception as error:
        raise ImageError(path, f"damaged or truncated ({error})") from error


def _empty(path):
    return ImageError(path, "the file is empty (0 bytes)")


def _gigantic(path, received):
    return ImageError(path, f"expected at most {MAX_PIXELS / 1e6:.0f} megapixels. Received: {received}")


def batch_for(size, most):
    """How many images of ``(height, width)`` to take at a time: ``most``, fewer if they are large."""
    return max(1, min(most, MAX_BATCH // (size[0] * size[1])))


def size(side):
    """``(height, width)`` of a side in pixels, or of a pair, as whole numbers."""
    height, width = (side, side) if np.ndim(side) == 0 else side
    return int(height), int(width)


def resize(image, side):
    """Resizes to a side, or to ``(height, width)``: by area when shrinking, else bilinearly; aspect is not kept.

    Computed in float32 and rounded half to even, which any other runtime can repeat.
    """
    height, width = size(side)
    if image.shape[:2] == (height, width):
        return image
    shrinking = image.shape[0] > height and image.shape[1] > width
    method = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    # OpenCV shrinks uint8 by float32 itself, three times as fast, but halves by whole numbers, and grows by fixed-point
    # arithmetic: both are one gray level off here and there.
    if shrinking and image.dtype == np.uint8 and image.shape[:2] != (2 * height, 2 * width):
        return cv2.resize(image, (width, height), interpolation=method).reshape(height, width, *image.shape[2:])
    # A channel at a time: all of a large image in float32 would take four times as much as the image.
    channels = [
        cv2.resize(channel.astype(np.float32), (width, height), interpolation=method) for channel in cv2.split(image)
    ]
    return np.rint(np.dstack(channels)).astype(np.uint8).reshape(height, width, *image.shape[2:])


def shrunk(image, side):
    """A copy of an image for display, by area, the longer side at most ``side`` pixels; aspect is kept."""
    height, width = image.shape[:2]
    scale = min(1.0, side / max(height, width))
    return cv2.resize(
        image, (max(1, round(scale * width)), max(1, round(scale * height))), interpolation=cv2.INTER_AREA
    )


def read_images(paths, side, progress=None):
    """Reads many images at one size, in parallel.

    Returns:
        uint8 RGB of shape ``(len(paths), height, width, 3)``, for a ``side`` as `resize` takes it.

    Raises:
        ImageError: the first bad file, in the order of ``paths``.
    """
    out = np.empty((len(paths), *size(side), 3), np.uint8)

    def one(item):
        k, path = item
        out[k] = resize(read_image(path), side)
        if progress:
            progress(1)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(one, enumerate(paths)))
    return out


def write_image(path, image):
    """Writes a uint8 image, ``(H, W)`` or RGB ``(H, W, 3)``, as PNG; the file appears whole or not at all."""
    ok, data = cv2.imencode(".png", image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not ok:
        raise ImageError(path, "could not be encoded as PNG")
    with atomic_file(path) as file:
        file.write(data)
