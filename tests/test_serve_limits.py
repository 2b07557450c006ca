import asyncio
import json

import pytest

from fsad.serve.limits import Limits

HOST = (b"host", b"127.0.0.1:8000")


async def app(scope, receive, send):
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message.get("more_body")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def ask(limits, path="/v1", method="GET", headers=(), chunks=(b"",), client="1.2.3.4"):
    """``(status, body, headers)``."""
    sent, waiting = [], [{"body": chunk, "more_body": k + 1 < len(chunks)} for k, chunk in enumerate(chunks)]
    scope = {"type": "http", "method": method, "path": path, "headers": [HOST, *headers], "client": (client, 1)}

    async def receive():
        return {"type": "http.request", **waiting.pop(0)}

    async def send(message):
        sent.append(message)

    asyncio.run(limits(scope, receive, send))
    return sent[0]["status"], sent[1]["body"], dict(sent[0]["headers"])


def test_a_token_is_asked_for_but_by_the_page():
    assert ask(Limits(app, token="sésame"), headers=[(b"authorization", "Bearer sésame".encode())])[0] == 200
    limits = Limits(app, token="sesame")
    status, body, headers = ask(limits)
    assert status == 401 and headers[b"www-authenticate"] == b"Bearer" and b"Bearer TOKEN" in body
    for given, expected in (
        (b"Bearer sesame", 200),
        (b"bearer sesame", 200),
        (b"Bearer ", 401),
        (b"Basic sesame", 401),
    ):
        assert ask(limits, headers=[(b"authorization", given)])[0] == expected
    assert ask(limits, "/")[0] == ask(limits, "/health")[0] == 200 and ask(limits, "/metrics")[0] == 401
    assert ask(Limits(app))[0] == 200


def test_a_bucket_of_requests_fills_with_time():
    now = [0.0]
    limits = Limits(app, rate=2, clock=lambda: now[0])
    assert [ask(limits)[0] for _ in range(6)] == [200] * 4 + [429] * 2  # twice the rate at once
    assert ask(limits)[2][b"retry-after"] == b"1" and ask(limits, client="5.6.7.8")[0] == 200
    now[0] = 1.0
    assert [ask(limits)[0] for _ in range(3)] == [200, 200, 429]


def test_large_requests_are_refused_whether_they_say_so_or_not():
    limits = Limits(app, max_bytes=10)
    assert ask(limits, headers=[(b"content-length", b"10")], chunks=[b"0123456789"])[:2] == (200, b"0123456789")
    status, body, _ = ask(limits, headers=[(b"content-length", str(3 * 2**20).encode())])
    assert status == 413 and json.loads(body)["detail"].endswith("Received: 3.0 MB")
    from starlette.exceptions import HTTPException

    with pytest.raises(HTTPException) as caught:  # which the application turns into an answer
        ask(limits, chunks=[b"01234", b"56789", b"x"])
    assert caught.value.status_code == 413


def test_pages_of_other_sites_are_refused():
    limits = Limits(app, hosts=("localhost", "127.0.0.1"))
    assert ask(limits)[0] == 200
    assert ask(limits, method="POST", headers=[(b"origin", b"http://127.0.0.1:8000")])[0] == 200
    assert ask(limits, method="POST", headers=[(b"origin", b"http://evil.example")])[0] == 403
    assert ask(limits, method="POST", headers=[(b"origin", b"null")])[0] == 403
    limits.hosts = ("localhost",)
    assert ask(limits)[0] == 421  # a name that was made to point here
    behind = Limits(app, hosts=("127.0.0.1", "parts.example"))  # a proxy that keeps its own host
    for origin, status in ((b"https://parts.example", 200), (b"https://evil.example", 403), (b"http://[", 403)):
        assert ask(behind, method="POST", headers=[(b"origin", origin)])[0] == status
