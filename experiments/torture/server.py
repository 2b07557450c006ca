"""The service under requests made to break it, and under load."""

import collections
import contextlib
import http.client
import json
import os
import random
import socket
import threading
import time

from experiments import memory
from experiments.torture import Attack, Outcome, fsad

TOKEN = "sesame"
AUTH = f"Authorization: Bearer {TOKEN}\r\n".encode()
PREDICT = b"POST /v1/parts/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
MAX_MB = 8
CLIENTS = 2


class Service:
    """`fsad serve` in a process of its own, which ends with the block."""

    def __init__(self, workshop):
        self.workshop = workshop
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def __enter__(self):
        os.environ["FSAD_TOKEN"] = TOKEN
        detector = self.workshop.detector
        self._log = open(self.workshop.root / "serve.log", "wb")
        self.process = self.workshop.start(
            fsad, "serve", f"parts={detector}", f"--port={self.port}", f"--max_mb={MAX_MB}", "--rate=100000",
            log=self._log.fileno(),
        )  # fmt: skip
        for _ in range(600):
            time.sleep(0.1)
            try:
                if self.ask("GET", "/health")[0] == 200:
                    return self
            except OSError:
                continue
        raise RuntimeError("Expected a service within a minute. Received: none")

    def __exit__(self, *_):
        os.kill(self.process, 9)
        os.waitpid(self.process, 0)
        self._log.close()

    def ask(self, method, path, body=None, headers=(), seconds=30):
        """``(status, body)`` of a request with the token."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {TOKEN}", **dict(headers)})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def raw(self, data, patience=3):
        """Status of what is sent as it is; 0 if the connection is closed without an answer, None if nothing comes."""
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=patience) as connection:
            try:
                connection.sendall(data)
                answer = connection.recv(65536)
            except TimeoutError:
                try:  # nor does it wait for a client that says it has nothing more
                    connection.shutdown(socket.SHUT_WR)
                    answer = connection.recv(65536)
                except TimeoutError:
                    return None
            except OSError:
                return 0
        return int(answer.split()[1]) if answer.startswith(b"HTTP/1.1 ") else 0

    def memory(self):
        """Megabytes of the process."""
        return memory.held(self.process)

    def whole(self, image, expected):
        """A failure, or none: the service still gives the score that it gave at first."""
        try:
            status, body = self.ask("POST", "/v1/parts/predict", image)
            score = json.loads(body)["predictions"][0]["score"] if status == 200 else None
        except OSError as error:
            return [f"does not answer any more: {error}"]
        return [] if score == expected else [f"status {status}, score {score}, not {expected}"]


def _form(*parts, boundary=b"x", end=True):
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return body + (b"--" + boundary + b"--\r\n" if end else b"")


def _part(name=b"images", content=b"no image", filename=b"a.png"):
    return b'Content-Disposition: form-data; name="' + name + b'"; filename="' + filename + b'"\r\n\r\n' + content


def _post(body, kind=b"multipart/form-data; boundary=x", more=b"", length=None):
    size = str(len(body) if length is None else length).encode()
    return PREDICT + AUTH + more + b"Content-Type: " + kind + b"\r\nContent-Length: " + size + b"\r\n\r\n" + body


def _get(path, more=AUTH):
    return b"GET " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + more + b"\r\n"


def requests(image):
    """Requests made to break it by name, and the statuses that are right; 0: closed without an answer."""
    bad, gone, refused = (400, 413, 422, 0), (404, 405, 400, 307), (401,)
    return {
        "a form without a boundary": (_post(_form(_part()), b"multipart/form-data"), bad),
        "a form with another boundary": (_post(_form(_part()), b"multipart/form-data; boundary=y"), bad),
        "a form without its end": (_post(_form(_part(), end=False)), bad),
        "a form of nothing": (_post(b""), bad),
        "a part without a name": (_post(_form(b"Content-Disposition: form-data\r\n\r\nx")), bad),
        "a part without headers": (_post(_form(b"\r\n\r\nx")), bad),
        "a part with a header of a megabyte": (_post(_form(b"X-Y: " + b"z" * 2**20 + b"\r\n\r\nx")), bad),
        "a thousand parts": (_post(_form(*[_part()] * 1000)), bad),
        "a thousand fields": (_post(_form(*[b'Content-Disposition: form-data; name="f"\r\n\r\n1'] * 5000)), bad),
        "a field of four megabytes": (
            _post(_form(b'Content-Disposition: form-data; name="images"\r\n\r\n' + b"1" * 2**22)), bad
        ),
        "a boundary of a megabyte": (
            _post(_form(_part()), b"multipart/form-data; boundary=" + b"y" * 2**20), (*bad, 431)
        ),
        "a file name that climbs": (_post(_form(_part(filename=b"../../../etc/passwd", content=image))), (200,)),
        "a file name with line breaks": (_post(_form(_part(filename=b"a%0d%0aSet-Cookie: b", content=image))), (200,)),
        "a length that is too long": (_post(image, b"image/png", length=len(image) + 1000), bad),
        "a length that is too short": (_post(image, b"image/png", length=100), bad),
        "a negative length": (_post(image, b"image/png", length=-5), bad),
        "a length that is no number": (_post(image, b"image/png", length="1e9"), bad),
        "two lengths": (_post(image, b"image/png", more=b"Content-Length: 3\r\n"), bad),
        "a length and chunks": (_post(b"0\r\n\r\n", b"image/png", more=b"Transfer-Encoding: chunked\r\n"), bad),
        "chunks that are none": (
            PREDICT + AUTH + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nnothing\r\n0\r\n\r\n", bad
        ),
        "more than is allowed": (_post(b"x" * (MAX_MB * 2**20 + 1), b"image/png"), (413, 0)),
        "more than is allowed, in chunks": (
            PREDICT + AUTH + b"Transfer-Encoding: chunked\r\n\r\n"
            + b"".join(b"100000\r\n" + b"x" * 2**20 + b"\r\n" for _ in range(MAX_MB + 1)) + b"0\r\n\r\n", (413, 0),
        ),
        "said to be more than is allowed": (_post(b"", b"image/png", length=10**15), (413, 0)),
        "an image of no bytes": (_post(b"", b"image/png"), bad),
        "an image that is none": (_post(b"no image" * 100, b"image/png"), (422,)),
        "an image that claims 4 gigapixels": (
            _post(image[:16] + (2**16).to_bytes(4, "big") * 2 + image[24:], b"image/png"), (413, 422),
        ),
        "JSON in place of an image": (_post(b'{"images": "x"}', b"application/json"), (422,)),
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
        "another detector": (_post(image, b"image/png").replace(b"/parts/", b"/none/"), (404,)),
        "learning, which is not allowed": (_post(_form(_part())).replace(b"predict", b"learn"), gone),
        "another method": (b"DELETE /v1/parts HTTP/1.1\r\nHost: 127.0.0.1\r\n" + AUTH + b"\r\n", gone),
        "a method that is none": (b"HACK / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + AUTH + b"\r\n", (400, 404, 405, 501)),
        "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10, (400, 0)),
        "zeros": (bytes(10_000), (400, 0)),
        "no host": (b"GET /v1 HTTP/1.1\r\n" + AUTH + b"\r\n", (400, 421)),
        "another host": (_get(b"/v1").replace(b"Host: 127.0.0.1", b"Host: evil.example"), (421,)),
        "a page of another site": (_post(image, b"image/png", more=b"Origin: http://evil.example\r\n"), (403,)),
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


def _attacked(workshop, case):
    """Requests, one after the other; after each the service is as it was."""
    image, failures, counts = workshop.images()[0].read_bytes(), [], collections.Counter()
    with Service(workshop) as service:
        expected = json.loads(service.ask("POST", "/v1/parts/predict", image)[1])["predictions"][0]["score"]
        before = service.memory()
        for name, (data, right) in list(requests(image).items())[:: int(case.split()[-1])]:
            status = service.raw(data)
            counts[f"status {status}" if status else "closed" if status == 0 else "no answer"] += 1
            if status not in right:
                failures.append(f"{name}: expected {' or '.join(map(str, right))}. Received: {status}")
            failures += [f"after {name}: {text}" for text in service.whole(image, expected)]
        if service.memory() > before + 300:
            failures.append(f"{service.memory() - before:.0f} MB more than before")
    return Outcome(counts, failures)


def _slow(workshop, case):
    """Clients that send a byte now and then; others are answered meanwhile."""
    clients, seconds = (int(text) for text in case.split(" clients for "))
    image, failures, sockets = workshop.images()[0].read_bytes(), [], []
    with Service(workshop) as service:
        expected = json.loads(service.ask("POST", "/v1/parts/predict", image)[1])["predictions"][0]["score"]
        head = _post(image, b"image/png")
        try:
            for k in range(clients):
                sockets.append(socket.create_connection(("127.0.0.1", service.port), timeout=10))
                sockets[-1].sendall(
                    head[: 40 if k % 2 else len(head) - 100]
                )  # half of them in the head, half in the body
            until, times = time.monotonic() + seconds, []
            while time.monotonic() < until:
                begun = time.monotonic()
                failures += service.whole(image, expected)
                times.append(time.monotonic() - begun)
                for one in sockets:
                    with contextlib.suppress(OSError):  # closed, as it should be in the end
                        one.sendall(b"a")
                time.sleep(0.3)
        finally:
            for one in sockets:
                one.close()
    if max(times) > 5:
        failures.append(f"an answer took {max(times):.1f} s")
    return Outcome({"slow clients": clients, "answers meanwhile": len(times)}, failures)


def _ask_until(service, image, expected, until, pause, found):
    rng = random.Random(threading.get_ident())
    while time.monotonic() < until:
        begun = time.monotonic()
        failure = service.whole(image, expected)
        found.append((time.monotonic() - begun, failure))
        if pause:
            time.sleep(rng.expovariate(1 / pause))


def _load(service, image, expected, seconds, pause):
    found, until = [], time.monotonic() + seconds
    threads = [
        threading.Thread(target=_ask_until, args=(service, image, expected, until, pause, found))
        for _ in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _soak(workshop, case):
    seconds = float(case.split(" s")[0])
    image = workshop.images()[0].read_bytes()
    with Service(workshop) as service:
        expected = json.loads(service.ask("POST", "/v1/parts/predict", image)[1])["predictions"][0]["score"]
        _load(service, image, expected, min(3, seconds / 3), 0)  # warm
        span = min(10, seconds / 2)
        most = len(_load(service, image, expected, span, 0)) / span
        each = CLIENTS / most  # seconds an answer takes when all ask at once
        before = service.memory()
        found = _load(service, image, expected, seconds, each * 0.25)  # 80 % of the time asking, 20 % waiting
        after = service.memory()
    failures = [text for _, failure in found for text in failure]
    if after > before + 100:
        failures.append(f"{after - before:.0f} MB more after {len(found)} answers")
    times = sorted(took for took, _ in found)
    counts = {
        "answers": len(found),
        "answers per second at most": round(most),
        "% of that": round(100 * len(found) / seconds / most),
        "ms, 99th percentile": round(1000 * times[int(0.99 * (len(times) - 1))]),
        "MB more at the end": max(0, round(after - before)),
    }
    return Outcome(counts, failures)


ATTACKS = (
    Attack(
        "requests",
        "requests to `fsad serve` made to break it: malformed forms, lengths and chunks, oversized, climbing paths, "
        "without and with wrong tokens, hosts and origins",
        "a status of 400 to 431, or the connection closed; never 500; the same score as before after each",
        "OWASP's testing guide; nginx answers 400 or 413 and goes on",
        lambda workshop, quick: ["one in 6" if quick else "one in 1"],
        _attacked,
    ),
    Attack(
        "slow-clients",
        "clients that send a byte now and then, in the head and in the body",
        "others are answered within 5 s",
        "nginx under slowloris",
        lambda workshop, quick: ["20 clients for 1"] if quick else ["200 clients for 30"],
        _slow,
    ),
    Attack(
        "soak",
        "80 % of the service's throughput, for a minute each time, ten times",
        "each answer the same score; no more memory at the end",
        "SQLite's soak tests",
        lambda workshop, quick: ["2 s"] if quick else [f"60 s, {k}" for k in range(10)],
        _soak,
    ),
)
