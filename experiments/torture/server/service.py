"""A service to attack, in a process of its own."""

import http.client
import json
import os
import socket
import time

from experiments import memory
from experiments.torture import fsad

TOKEN = "sesame"


AUTH = f"Authorization: Bearer {TOKEN}\r\n".encode()


MAX_MB = 8


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
