"""`lowshot serve` under load, on loopback: speed, answers while it is taught, memory, broken clients, kills.

    python benchmarks/serve.py [--clients 32] [--requests 200] [--total 10000] [--seconds 20] [--kills 50] [--json FILE]

Photos are made here (300 x 225 px JPEGs); with `--photos FOLDER` those of a folder with a folder per class are taken.
Baselines are measured in the same run: `Recogniser.predict` on the same files in one process, and, for one client,
the decoding and the forward pass of one photo at a time. The latter take turns with requests and have been slower
than alone in a process: the ratio for one client is a lower bound. The clients are threads with plain sockets in a
process beside the server, on the same cores. Targets: no error; 80 % of the rate of `predict`; for one client a
median of 1.3 times the forward pass plus decoding; every answer equal to that of the state it names; flat memory;
slow and broken clients change the median of others by nothing; after each kill the state before or after.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from lowshot.recogniser import Recogniser
from lowshot.recogniser.answering import answered
from lowshot.recogniser.photos import Photo, photos_at

CLASSES, SHOTS = 10, 5
BLOCK, WARM = 20, 3  # threads of the other process still spin at the beginning of a block


def made_photo(kind: int, number: int) -> bytes:
    """A JPEG of 300 x 225 pixels, of one of many kinds."""
    rng, own = np.random.default_rng(kind), np.random.default_rng([kind, number])
    coarse = rng.integers(0, 256, (9, 12, 3)) + own.integers(-40, 40, (9, 12, 3))
    image = Image.fromarray(coarse.clip(0, 255).astype(np.uint8)).resize((300, 225), Image.Resampling.BICUBIC)
    pixels = np.asarray(image).astype(int) + own.integers(-12, 12, (225, 300, 3))
    out = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=90)
    return out.getvalue()


class Server:
    """`lowshot serve` in a process of its own."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "lowshot", "serve", str(folder), "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.port = int(line.split(" is served at ")[1].split("/")[2].rsplit(":", 1)[1])

    def resident(self) -> float:
        """The memory in MB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) / 1000

    def end(self, number: int = signal.SIGINT) -> None:
        self.process.send_signal(number)
        self.process.communicate()


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.end()


class Client:
    """One connection that stays open."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; returns the status and the body."""
        self._socket.sendall(request)
        status = int(self._file.readline().split()[1])
        length = 0
        while (line := self._file.readline()) not in (b"\r\n", b""):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return status, self._file.read(length)

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def raw(content: bytes, path: str = "/predict", kind: str = "image/jpeg") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def teaching(name: str, photos: list[bytes]) -> bytes:
    parts = [b'--line\r\nContent-Disposition: form-data; name="name"\r\n\r\n' + name.encode() + b"\r\n"]
    parts += [
        b'--line\r\nContent-Disposition: form-data; name="photos"; filename="%d.jpg"\r\n\r\n' % number + photo + b"\r\n"
        for number, photo in enumerate(photos)
    ]
    return raw(b"".join(parts) + b"--line--\r\n", "/classes", "multipart/form-data; boundary=line")


def load(port: int, clients: int, each: int, contents: list[bytes], look: Callable[[bytes], None]) -> dict[str, Any]:
    """Many clients at once; returns the rate, the errors and the seconds of each request."""
    seconds: list[float] = []
    errors: list[str] = []

    def ask(own: int) -> None:
        client = Client(port)
        for number in range(each):
            request = raw(contents[(own * each + number) % len(contents)])
            start = time.perf_counter()
            try:
                status, body = client.ask(request)
            except (OSError, IndexError, ValueError) as error:
                errors.append(repr(error))
                return
            seconds.append(time.perf_counter() - start)
            if status == 200:
                look(body)
            else:
                errors.append(body.decode())
        client.close()

    threads = [threading.Thread(target=ask, args=(own,)) for own in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - start
    return {"rate": len(seconds) / took, "errors": errors, "p50": statistics.median(seconds), "n": len(seconds)}


def single(port: int, opened: Recogniser, contents: list[bytes], n: int) -> dict[str, float]:
    """The median of one client beside that of decoding and forward pass, in turns of some requests."""
    network = opened.network
    client = Client(port)
    ours, bare = [], []
    with network.embedder as embedder:
        for block in range(n // BLOCK):
            own = [contents[(block * BLOCK + i) % len(contents)] for i in range(BLOCK)]
            for turn, content in enumerate(own):
                request = raw(content)
                start = time.perf_counter()
                status, _ = client.ask(request)
                ours += [time.perf_counter() - start] if turn >= WARM else []
                assert status == 200
            for turn, content in enumerate(own):
                start = time.perf_counter()
                _, pixels = network.open(Photo("a.jpg", content))
                assert pixels is not None
                embedder.features(pixels[None])
                bare += [time.perf_counter() - start] if turn >= WARM else []
    client.close()
    p50, baseline = statistics.median(ours), statistics.median(bare)
    return {"p50": p50, "forward and decoding": baseline, "ratio": p50 / baseline}


def while_taught(
    folder: Path, port: int, contents: list[bytes], seconds: float, new: Callable[[int], list[bytes]]
) -> Any:
    """Answers while a class is added every second, compared with those of the states that they name."""
    found: list[dict[str, Any]] = []
    done = threading.Event()
    copies = {Recogniser.load(folder).state.number: Recogniser(shutil.copytree(folder, folder.with_name("copy first")))}
    durations = []

    def ask(own: int) -> None:
        client = Client(port)
        number = own
        while not done.is_set():
            content = number % len(contents)
            status, body = client.ask(raw(contents[content], f"/predict?file={content}.jpg"))
            assert status == 200, body
            found.append(json.loads(body))
            number += 7
        client.close()

    threads = [threading.Thread(target=ask, args=(own,)) for own in range(8)]
    for thread in threads:
        thread.start()
    teacher, change, start = Client(port), 0, time.monotonic()
    while time.monotonic() < start + seconds:
        before = time.monotonic()
        status, body = teacher.ask(teaching(f"new {change}", new(change)))
        assert status == 201, body
        durations.append(time.monotonic() - before)
        number = json.loads(body)["state"]
        copies[number] = Recogniser(shutil.copytree(folder, folder.with_name(f"copy {number}")))
        change += 1
        time.sleep(max(0.0, 1 - (time.monotonic() - before)))
    done.set()
    for thread in threads:
        thread.join()
    teacher.close()
    network = next(iter(copies.values())).network
    wrong = 0
    seen = list(network.see([Photo(f"{i}.jpg", content) for i, content in enumerate(contents)]))
    for state, copy in copies.items():
        own = [one["answers"][0] for one in found if one["state"] == state]
        expected = {a.file: a.as_dict() for a in answered(copy.model, seen)}
        for answer in own:
            known = expected[answer["file"]]
            same = answer["class"] == known["class"] and answer["nearest"] == known["nearest"]
            close = all(abs(answer[key] - known[key]) <= 0.002 for key in ("probability", "similarity"))
            wrong += not (same and close and answer["unknown"] == known["unknown"])
    states = {one["state"] for one in found}
    unknown = states - copies.keys()
    return {
        "answers": len(found),
        "states": len(states),
        "changes": change,
        "seconds per change": statistics.median(durations),
        "wrong": wrong + len(unknown),
    }


def broken(port: int, contents: list[bytes], n: int) -> dict[str, float]:
    """The median of one client without and with slow and broken ones beside it."""
    client = Client(port)

    def median() -> float:
        times = []
        for turn in range(n):
            start = time.perf_counter()
            assert client.ask(raw(contents[turn % len(contents)]))[0] == 200
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    alone = [median()]
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
    done = threading.Event()

    def disturb() -> None:
        request = raw(contents[0])
        for number, connection in enumerate(slow):
            connection.sendall(request[: (30, len(request) // 2, 200)[number % 3]])
        while not done.wait(1.0):
            for number, connection in enumerate(slow):
                if number % 3 == 2:
                    try:
                        connection.sendall(b"x")  # a byte a second
                    except OSError:
                        continue
            with socket.create_connection(("127.0.0.1", port)) as leaving:
                leaving.sendall(request[:-10])

    thread = threading.Thread(target=disturb)
    thread.start()
    time.sleep(1)
    beside = median()
    done.set()
    thread.join()
    for connection in slow:
        connection.close()
    alone.append(median())
    client.close()
    return {"alone": statistics.mean(alone), "beside 200": beside}


def kills(folder: Path, n: int, new: Callable[[int], list[bytes]]) -> dict[str, int]:
    """Kill the server at random moments of teaching; what is found then is the state before or after."""
    rng, number, interrupted, taught = random.Random(0), Recogniser.load(folder).state.number, 0, 0
    for _ in range(n):
        asked, acknowledged = 0, []
        server = Server(folder)

        def later(server: Server = server) -> None:
            time.sleep(rng.uniform(0.05, 1.0))
            server.process.kill()

        thread = threading.Thread(target=later)
        client = Client(server.port)
        client.ask(raw(made_photo(0, 0)))
        thread.start()
        try:
            while True:
                asked += 1
                status, body = client.ask(teaching(f"killed {taught}", new(10_000 + taught)[:2]))
                assert status == 201, body
                acknowledged.append(json.loads(body)["state"])
                taught += 1
        except (OSError, IndexError, ValueError):
            pass
        thread.join()
        server.process.communicate()
        opened = Recogniser.load(folder)
        last = acknowledged[-1] if acknowledged else number
        assert opened.state.number in (last, last + 1), (opened.state.number, last)
        shots = opened.shots()
        assert all(count == 2 for name, count in shots.items() if name.startswith("killed"))
        interrupted += opened.state.number == last
        taught += opened.state.number - last
        number = opened.state.number
    return {"kills": n, "state before": interrupted, "state after": n - interrupted, "changes": taught}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--total", type=int, default=10_000, help="requests over which memory is watched")
    parser.add_argument("--seconds", type=float, default=20.0, help="of teaching a class every second")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}", flush=True
    )
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        if options.photos is None:
            taught = {f"class {k}": [made_photo(k, i) for i in range(SHOTS)] for k in range(CLASSES)}
            contents = [made_photo(i % CLASSES, 100 + i) for i in range(400)]
        else:
            groups = sorted(path for path in options.photos.iterdir() if path.is_dir())
            listed = {group.name: sorted(group.iterdir()) for group in groups}
            taught = {k: [path.read_bytes() for path in paths[:SHOTS]] for k, paths in listed.items()}
            contents = [path.read_bytes() for paths in listed.values() for path in paths[SHOTS:]][:400]
        for number, content in enumerate(contents):
            (folder / "photos" / f"{number:04d}.jpg").write_bytes(content)
        opened = Recogniser.create(folder / "birds")
        opened.teach({k: [Photo(f"{i}.jpg", c) for i, c in enumerate(group)] for k, group in taught.items()})
        listed_photos = photos_at([folder / "photos"])
        opened = Recogniser.load(folder / "birds")  # whose engine is chosen for many photos, as that of the server is

        def new(change: int) -> list[bytes]:
            return [made_photo(1000 + change, i) for i in range(3)]

        def predict_rate() -> float:
            start = time.perf_counter()
            n = sum(1 for _ in opened.answers(listed_photos))
            return n / (time.perf_counter() - start)

        predict_rate()  # the engine is chosen and ready
        with served(folder / "birds") as server:
            load(server.port, 8, 10, contents, lambda body: None)
            results["single"] = one = single(server.port, opened, contents, 200)
            engine = opened.network.embedder.engine
            print(
                f"one client, {engine}: {1000 * one['p50']:.1f} ms, forward pass and decoding "
                f"{1000 * one['forward and decoding']:.1f} ms: {one['ratio']:.2f} times",
                flush=True,
            )
            rates, found, start_memory = [predict_rate()], [], server.resident()
            quarters = 4
            for _ in range(quarters):
                each = options.requests // quarters
                found.append(load(server.port, options.clients, each, contents, lambda body: None))
                rates.append(predict_rate())
            rate, predict = (statistics.mean(values) for values in ([one["rate"] for one in found], rates))
            errors = [error for one in found for error in one["errors"]]
            answered = sum(one["n"] for one in found)
            results["load"] = {"rate": rate, "predict": predict, "share": rate / predict, "errors": len(errors)}
            results["load"]["p50"] = statistics.mean(one["p50"] for one in found)
            print(
                f"{options.clients} clients x {options.requests}: {rate:.1f} photos/s, predict {predict:.1f}: "
                f"{100 * rate / predict:.0f} %, p50 {1000 * results['load']['p50']:.0f} ms, {len(errors)} errors "
                f"{errors[:1]}",
                flush=True,
            )
            results["broken"] = row = broken(server.port, contents, 60)
            print(
                f"beside 200 slow and broken clients: p50 {1000 * row['beside 200']:.1f} ms, without them "
                f"{1000 * row['alone']:.1f} ms",
                flush=True,
            )
            after_load, in_load = server.resident(), answered
            while answered < options.total:
                more = load(server.port, options.clients, 50, contents, lambda body: None)
                assert not more["errors"], more["errors"][:1]
                answered += more["n"]
            results["memory"] = {
                "at the beginning": start_memory,
                "after load": after_load,
                "at the end": server.resident(),
                "requests": answered,
            }
            print(
                f"memory after the first requests {start_memory:.0f} MB, after {in_load} more, in batches of all "
                f"sizes, {after_load:.0f} MB, after {answered} {server.resident():.0f} MB",
                flush=True,
            )
            results["taught"] = row = while_taught(folder / "birds", server.port, contents, options.seconds, new)
            print(
                f"a class a second: {row['changes']} changes of {1000 * row['seconds per change']:.0f} ms, "
                f"{row['answers']} answers from {row['states']} states, {row['wrong']} wrong",
                flush=True,
            )
        if options.kills:
            results["kills"] = row = kills(folder / "birds", options.kills, new)
            print(f"{row['kills']} kills: {row['state before']} times the state before, {row['state after']} after")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
