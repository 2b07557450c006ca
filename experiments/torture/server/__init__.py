"""The service under requests made to break it, and under load."""

import collections
import contextlib
import json
import random
import socket
import threading
import time

from experiments.torture import Attack, Outcome
from experiments.torture.server.malformed import post, requests
from experiments.torture.server.service import Service

CLIENTS = 4
LOADED = 0.8  # of the answers per second that are possible at most
GROWN = 100  # megabytes that the service may have more after ten minutes


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
        head = post(image, b"image/png")
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


def _ask_until(service, image, expected, until, rate, times):
    rng, due = random.Random(threading.get_ident()), time.monotonic()
    while due < until:
        time.sleep(max(0, due - time.monotonic()))
        begun = time.monotonic()
        failure = service.whole(image, expected)
        times.append((time.monotonic() - begun, failure))
        due = due + rng.expovariate(rate) if rate else time.monotonic()


def _load(service, image, expected, seconds, rate=None):
    """``(seconds, failures)`` of each answer to clients that ask ``rate`` times per second together, at random moments;
    by default each asks again once it is answered."""
    times, until = [], time.monotonic() + seconds
    arguments = (service, image, expected, until, rate and rate / CLIENTS, times)
    threads = [threading.Thread(target=_ask_until, args=arguments) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def _soak(workshop, case):
    seconds = float(case.split(" s")[0])
    image = workshop.images()[0].read_bytes()
    with Service(workshop) as service:
        expected = json.loads(service.ask("POST", "/v1/parts/predict", image)[1])["predictions"][0]["score"]
        _load(service, image, expected, min(10, seconds / 3))  # warm
        span = min(20, seconds / 2)
        most = len(_load(service, image, expected, span)) / span
        before = service.memory()
        times = _load(service, image, expected, seconds, LOADED * most)
        after = service.memory()
    failures = [text for _, failure in times for text in failure]
    if after > before + GROWN:
        failures.append(f"{after - before:.0f} MB more after {len(times)} answers")
    times = sorted(took for took, _ in times)
    counts = {
        "answers": len(times),
        "answers per second at most": round(most),
        "% of that": round(100 * len(times) / seconds / most),
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
        f"{100 * LOADED:.0f} % of the service's throughput for ten minutes, asked at random moments",
        f"each answer the same score; at most {GROWN} MB more at the end",
        "SQLite's soak tests",
        lambda workshop, quick: ["2 s"] if quick else ["600 s"],
        _soak,
    ),
)
