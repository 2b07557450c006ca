"""What stands before the service, as ASGI layers: who may ask, how much, how often."""

import hmac
import json
import time
import urllib.parse

from starlette.exceptions import HTTPException

OPEN = ("/", "/health")  # paths that need no token: the page, which asks for it, and whether the service is up
SAFE = ("GET", "HEAD", "OPTIONS")
MAX_CLIENTS = 10_000  # whose rate is remembered


class Limits:
    """Refuses requests that are too large or too many, that carry no token where one is set, or that a page of another
    site makes a browser send.

    Args:
        app: the ASGI application behind it.
        token: expected as ``Authorization: Bearer TOKEN``; None for none.
        max_bytes: of a request's body.
        rate: requests a second of one client, over some seconds; twice as many at once.
        hosts: names in the Host header that are answered, None for any: a page of another site whose name is made to
            point here (DNS rebinding) has another.
        clock: seconds, for tests.
    """

    def __init__(self, app, token=None, max_bytes=2**26, rate=50.0, hosts=None, clock=time.monotonic):
        self.app, self.token, self.max_bytes, self.rate, self.hosts, self.clock = (
            app, token, max_bytes, rate, hosts, clock
        )  # fmt: skip
        self._clients = {}

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal:
            return await _answer(send, *refusal)
        received = 0

        async def counted():  # since a request need not say its length
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                status, text, _ = self._too_large("more")
                raise HTTPException(status, text, {"Connection": "close"})
            return message

        await self.app(scope, counted, send)

    def _refusal(self, scope, headers):
        """``(status, message, headers)``, or None."""
        host = headers.get("host", "")
        if self.hosts is not None and _name(f"//{host}") not in self.hosts:
            return 421, f"Expected a host among {', '.join(self.hosts)}. Received: {host!r}", {}
        origin = headers.get("origin")
        # A proxy may give another host; then the origin is one of the names that it is known by.
        own = origin is None or origin.partition("//")[2] == host or _name(origin) in (self.hosts or ())
        if scope["method"] not in SAFE and not own:
            return 403, f"Expected a request of this service's own page. Received: one of {origin}", {}
        if wait := self._wait(scope["client"][0] if scope.get("client") else ""):
            return 429, f"Expected at most {self.rate:g} requests a second. Received: more", {"Retry-After": wait}
        if self.token and scope["path"] not in OPEN:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode("latin-1"), self.token.encode()):
                return 401, "Expected the header Authorization: Bearer TOKEN. Received: another, or none", {
                    "WWW-Authenticate": "Bearer"
                }  # fmt: skip
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self.max_bytes:
            return self._too_large(f"{int(length) / 2**20:.1f} MB")
        return None

    def _too_large(self, received):
        return 413, f"Expected at most {self.max_bytes / 2**20:g} MB. Received: {received}", {"Connection": "close"}

    def _wait(self, client):
        """Seconds until a client may ask again; 0 if it may now (a token bucket)."""
        now, most = self.clock(), max(1.0, 2 * self.rate)
        left, at = self._clients.pop(client, (most, now))
        left = min(most, left + (now - at) * self.rate)
        self._clients[client] = (left - 1 if left >= 1 else left), now  # the latest last
        while len(self._clients) > MAX_CLIENTS:
            self._clients.pop(next(iter(self._clients)))
        return 0 if left >= 1 else max(1, round((1 - left) / self.rate))


def _name(address):
    """The name of the host in an address, None where there is none."""
    try:
        return urllib.parse.urlsplit(address).hostname
    except ValueError:
        return None


async def _answer(send, status, message, headers):
    body = json.dumps({"detail": message}).encode()
    listed = {"Content-Type": "application/json", "Content-Length": len(body), **headers}
    pairs = [(name.lower().encode(), str(value).encode()) for name, value in listed.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
