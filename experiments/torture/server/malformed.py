"""Requests made to break a service."""

from experiments.torture.server.service import AUTH, MAX_MB

PREDICT = b"POST /v1/parts/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"


def _form(*parts, boundary=b"x", end=True):
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return body + (b"--" + boundary + b"--\r\n" if end else b"")


def _part(name=b"images", content=b"no image", filename=b"a.png"):
    return b'Content-Disposition: form-data; name="' + name + b'"; filename="' + filename + b'"\r\n\r\n' + content


def post(body, kind=b"multipart/form-data; boundary=x", more=b"", length=None):
    size = str(len(body) if length is None else length).encode()
    return PREDICT + AUTH + more + b"Content-Type: " + kind + b"\r\nContent-Length: " + size + b"\r\n\r\n" + body


def _get(path, more=AUTH):
    return b"GET " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + more + b"\r\n"


def requests(image):
    """Requests made to break it by name, and the statuses that are right; 0: closed without an answer."""
    bad, gone, refused = (400, 413, 422, 0), (404, 405, 400, 307), (401,)
    return {
        "a form without a boundary": (post(_form(_part()), b"multipart/form-data"), bad),
        "a form with another boundary": (post(_form(_part()), b"multipart/form-data; boundary=y"), bad),
        "a form without its end": (post(_form(_part(), end=False)), bad),
        "a form of nothing": (post(b""), bad),
        "a part without a name": (post(_form(b"Content-Disposition: form-data\r\n\r\nx")), bad),
        "a part without headers": (post(_form(b"\r\n\r\nx")), bad),
        "a part with a header of a megabyte": (post(_form(b"X-Y: " + b"z" * 2**20 + b"\r\n\r\nx")), bad),
        "a thousand parts": (post(_form(*[_part()] * 1000)), bad),
        "a thousand fields": (post(_form(*[b'Content-Disposition: form-data; name="f"\r\n\r\n1'] * 5000)), bad),
        "a field of four megabytes": (
            post(_form(b'Content-Disposition: form-data; name="images"\r\n\r\n' + b"1" * 2**22)), bad
        ),
        "a boundary of a megabyte": (
            post(_form(_part()), b"multipart/form-data; boundary=" + b"y" * 2**20), (*bad, 431)
        ),
        "a file name that climbs": (post(_form(_part(filename=b"../../../etc/passwd", content=image))), (200,)),
        "a file name with line breaks": (post(_form(_part(filename=b"a%0d%0aSet-Cookie: b", content=image))), (200,)),
        "a length that is too long": (post(image, b"image/png", length=len(image) + 1000), bad),
        "a length that is too short": (post(image, b"image/png", length=100), bad),
        "a negative length": (post(image, b"image/png", length=-5), bad),
        "a length that is no number": (post(image, b"image/png", length="1e9"), bad),
        "two lengths": (post(image, b"image/png", more=b"Content-Length: 3\r\n"), bad),
        "a length and chunks": (post(b"0\r\n\r\n", b"image/png", more=b"Transfer-Encoding: chunked\r\n"), bad),
        "chunks that are none": (
            PREDICT + AUTH + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nnothing\r\n0\r\n\r\n", bad
        ),
        "more than is allowed": (post(b"x" * (MAX_MB * 2**20 + 1), b"image/png"), (413, 0)),
        "more than is allowed, in chunks": (
            PREDICT + AUTH + b"Transfer-Encoding: chunked\r\n\r\n"
            + b"".join(b"100000\r\n" + b"x" * 2**20 + b"\r\n" for _ in range(MAX_MB + 1)) + b"0\r\n\r\n", (413, 0),
        ),
        "said to be more than is allowed": (post(b"", b"image/png", length=10**15), (413, 0)),
        "an image of no bytes": (post(b"", b"image/png"), bad),
        "an image that is none": (post(b"no image" * 100, b"image/png"), (422,)),
        "an image that claims 4 gigapixels": (
            post(image[:16] + (2**16).to_bytes(4, "big") * 2 + image[24:], b"image/png"), (413, 422),
        ),
        "JSON in place of an image": (post(b'{"images": "x"}', b"application/json"), (422,)),
        "a header of a megabyte": (_get(b"/v1", AUTH + b"X-Y: " + b"z" * 2**20 + b"\r\n"), (400, 431, 0)),
        "ten thousand headers": (_get(b"/v1", AUTH + b"X-Y: z\r\n" * 10_000), (200, 400, 431, 0)),
        "a header with a line break": (_get(b"/v1", AUTH + b"X-Y: a\rb\r\n"), (400, 200)),
        "a path that climbs": (_get(b"/../../../etc/passwd"), gone),
        "a path that climbs, encoded": (_get(b"/v1/%2e%2e%2f%2e%2e%2fetc%2fpasswd/predict"), gone),
        "a path that climbs, encoded twice": (_get(b"/v1/%252e%252e/predict"), gone),
        "a path with a zero": (_get(b"/v1/parts%00/predict"), gone),
        "a path of a megabyte": (_get(b"/" + b"a" * 2**20), (400, 404, 414, 431, 0)),
        "a file of the page": (_get(b"/page.js"), gone),
        "a file by its address": (_get(b"/file:///etc/passwd"), gone),
        "another detector": (post(image, b"image/png").replace(b"/parts/", b"/none/"), (404,)),
        "learning, which is not allowed": (post(_form(_part())).replace(b"predict", b"learn"), gone),
        "another method": (b"DELETE /v1/parts HTTP/1.1\r\nHost: 127.0.0.1\r\n" + AUTH + b"\r\n", gone),
        "a method that is none": (b"HACK / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + AUTH + b"\r\n", (400, 404, 405, 501)),
        "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10, (400, 0)),
        "zeros": (bytes(10_000), (400, 0)),
        "no host": (b"GET /v1 HTTP/1.1\r\n" + AUTH + b"\r\n", (400, 421)),
        "another host": (_get(b"/v1").replace(b"Host: 127.0.0.1", b"Host: evil.example"), (421,)),
        "a page of another site": (post(image, b"image/png", more=b"Origin: http://evil.example\r\n"), (403,)),
        "no token": (_get(b"/v1", b""), refused),
        "no token for the metrics": (_get(b"/metrics", b""), refused),
        "no token for the description": (_get(b"/openapi.json", b""), refused),
        "another token": (_get(b"/v1", b"Authorization: Bearer wrong\r\n"), refused),
        "an empty token": (_get(b"/v1", b"Authorization: Bearer \r\n"), refused),
        "a token as a password": (_get(b"/v1", b"Authorization: Basic c2VzYW1l\r\n"), refused),
        "a token that is not text": (_get(b"/v1", b"Authorization: Bearer \xff\xfe\r\n"), refused),
        "a token in the address": (_get(b"/v1?token=sesame", b""), refused),
        "a path that begins as an open one": (_get(b"/health/../v1", b""), (401, 404)),
        "an open path twice": (_get(b"//", b""), (401, 404)),
    }  # fmt: skip
