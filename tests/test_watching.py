import http.server
import json
import os
import threading

import pytest

from fsad import watching


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return watching.Folder(tmp_path / "in", tmp_path / "out.jsonl", leave_out=["defective"], clock=Clock())


def names(folder):
    return [mark.name for mark in folder.ready()]


def test_a_file_is_ready_once_it_stands_still(folder):
    (folder.path / "a.png").write_bytes(b"12")
    (folder.path / "note.txt").write_bytes(b"no image")
    assert names(folder) == []
    folder.clock.now = 0.9
    (folder.path / "a.png").write_bytes(b"1234")  # still being written
    assert names(folder) == []
    folder.clock.now = 1.8
    assert names(folder) == []
    assert not folder.arrived
    folder.clock.now = 2.0
    assert names(folder) == ["a.png"]
    (folder.path / "b.png").write_bytes(b"12")
    assert names(folder) == ["a.png"] and folder.arrived


def test_a_second_run_is_refused_while_the_first_one_is_there(folder):
    with pytest.raises(watching.BusyError, match="no other run of fsad watch writes"):
        watching.Folder(folder.path, folder.results)
    folder.close()
    watching.Folder(folder.path, folder.results).close()


def test_a_run_goes_on_where_it_stopped(folder, tmp_path):
    for name in ("a.png", "b.png"):
        (folder.path / name).write_bytes(b"12")
    folder.ready()
    folder.clock.now = 2
    first, second = folder.ready()
    folder.finish(first, {"verdict": "defective"})
    with open(folder.results, "a") as file:
        file.write('{"file": "b.p')  # killed here
    folder.close()
    again = watching.Folder(folder.path, folder.results, clock=folder.clock)
    again.ready()
    folder.clock.now = 4
    assert names(again) == ["b.png"] and [row["file"] for row in again.left()] == ["a.png"]
    again.finish(second, {"verdict": "good"})
    assert [row["file"] for row in watching.rows(folder.results)] == ["a.png", "b.png"]
    os.utime(folder.path / "a.png", (1, 1))  # another image of the same name
    again.ready()
    folder.clock.now = 6
    assert names(again) == ["a.png"]


def test_moving_replaces_nothing_and_what_is_moved_is_not_new(folder):
    (folder.path / "defective").mkdir()
    (folder.path / "defective" / "a.png").write_bytes(b"old")
    (folder.path / "a.png").write_bytes(b"new")
    target = folder.move({"file": "a.png", "verdict": "defective"})
    assert target.name == "a-2.png" and target.read_bytes() == b"new" and names(folder) == []
    (folder.path / "b.png").write_bytes(b"half")
    assert folder.move({"file": "b.png", "verdict": None}) == folder.path / "unreadable" / "b.png"
    folder.clock.now = 9
    assert names(folder) == []


@pytest.fixture
def server():
    class Handler(http.server.BaseHTTPRequestHandler):
        status, received = 200, []

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.status == 200:
                self.received.append(json.loads(body))
            self.send_response(self.status)
            self.end_headers()

        def log_message(self, *_):
            pass

    one = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=one.serve_forever, daemon=True).start()
    yield Handler, f"http://127.0.0.1:{one.server_port}"
    one.shutdown()


def test_rows_are_delivered_in_order_again_until_they_are_taken(server, tmp_path):
    handler, address = server
    results, clock = tmp_path / "out.jsonl", Clock()
    results.write_text('{"n": 1}\n{"n": 2}\n')
    hook = watching.Webhook(address, results, clock)
    assert hook.deliver() == 2 and hook.deliver() == 0
    handler.status = 500
    with open(results, "a") as file:
        file.write('{"n": 3}\n{"n": 4')  # the last is being written
    with pytest.raises(watching.DeliveryError, match="tried again in 1 s"):
        hook.deliver()
    assert hook.deliver() == 0  # waits
    handler.status, clock.now = 200, 2
    assert watching.Webhook(address, results, clock).deliver() == 1  # another process knows how far it came
    assert [row["n"] for row in handler.received] == [1, 2, 3]
