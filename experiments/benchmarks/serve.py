"""`fsad serve` under load: latency and throughput, beside the library in one process.

    python -m experiments.benchmarks.serve            # 3 minutes on two cores

What you will see: the default detector on synthetic metal behind `fsad serve`, asked by 1, 8 and 32 clients on the
same machine, one image a request, for 20 seconds each; median and 99th percentile of the time from request to answer,
images per second, errors. Above it the library: the same files by `Detector.stream`, with maps and regions as the
service gives them, one image at a time and all at once. Written to results/benchmark_serve.md.
Expected: one client waits a few milliseconds longer than the library takes; with more clients throughput is near that
of the library, and each waits for its turn. Clients and service share the cores.
"""

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
from absl import app, flags

import fsad
import fsad.images
from experiments import data, runner, statistics
from experiments.page import machine, write_text

flags.DEFINE_float("serve_seconds", 20.0, "for each number of clients")
FLAGS = flags.FLAGS
CLIENTS = (1, 8, 32)
RESULTS = runner.ROOT / "results" / "benchmark_serve.json"


def started(detector, port):
    """A service that answers."""
    program = Path(sys.executable).with_name("fsad")
    command = [program, "serve", f"parts={detector}", f"--port={port}", "--rate=1000000"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, "FSAD_TOKEN": ""})
    for _ in range(600):
        time.sleep(0.1)
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return process
        except OSError:
            continue
    raise RuntimeError("Expected a service within a minute. Received: none")


def ask(port, contents, until, times, errors):
    """One client, until the time is over."""
    connection, k = http.client.HTTPConnection("127.0.0.1", port, timeout=60), 0
    while time.perf_counter() < until:
        begun = time.perf_counter()
        connection.request("POST", "/v1/parts/predict", contents[k % len(contents)])
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:
            times.append(time.perf_counter() - begun)
        else:
            errors.append(answer.status)
        k += 1


def under(port, contents, clients, seconds):
    """A line of the table for a number of clients."""
    times, errors, begun = [], [], time.perf_counter()
    threads = [
        threading.Thread(target=ask, args=(port, contents, begun + seconds, times, errors)) for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - begun
    return line(f"{clients} client{'s' if clients > 1 else ''}", times, len(times) / elapsed, len(errors))


def line(who, times, rate, errors):
    p50, p99 = np.quantile(times, [0.5, 0.99]) * 1000
    return {
        "": who,
        "p50": f"{p50:.0f} ms",
        "p99": f"{p99:.0f} ms",
        "images per second": f"{rate:.1f}",
        "errors": str(errors),
    }


def library(detector, paths):
    """Two lines: one image at a time, and all at once."""
    list(detector.stream(paths[:8], details=True))  # compiles
    times, begun = [], time.perf_counter()
    for path in paths:
        start = time.perf_counter()
        list(detector.stream(path, details=True))
        times.append(time.perf_counter() - start)
    yield line("library, one at a time", times, len(paths) / (time.perf_counter() - begun), 0)
    begun = time.perf_counter()
    list(detector.stream(paths, details=True))
    elapsed = time.perf_counter() - begun
    yield {**line("library, all at once", [elapsed], len(paths) / elapsed, 0), "p50": "–", "p99": "–"}


def main(_):
    folder = data.resolve("synthetic-metal")
    good = sorted((folder / "train" / "good").iterdir())
    paths = sorted((folder / "test").glob("*/*.png"))
    with tempfile.TemporaryDirectory() as root:
        detector = fsad.Detector().fit(good[:16], progress=False)
        saved = detector.save(Path(root) / "parts")
        lines = list(library(detector, paths))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = started(saved, port)
        try:
            contents = [path.read_bytes() for path in paths]
            under(port, contents, 2, 3)  # warm
            lines += [under(port, contents, clients, FLAGS.serve_seconds) for clients in CLIENTS]
        finally:
            process.terminate()
            process.wait(30)
    height, width = fsad.images.read_image(paths[0]).shape[:2]
    text = (
        "# Serving: latency and throughput\n\n"
        f"Written by `python -m experiments.benchmarks.serve` on {machine()}. The default detector, fitted to 16 "
        f"images of synthetic metal; {len(paths)} PNG images of {width} x {height} pixels, one a request; "
        f"{FLAGS.serve_seconds:g} seconds for each number of clients, which share the cores with the service. Maps and "
        f"regions are computed in each line.\n\n{statistics.markdown(pd.DataFrame(lines))}\n"
    )
    write_text(RESULTS, {"lines": lines}, text)
    print(text)


if __name__ == "__main__":
    app.run(main)
