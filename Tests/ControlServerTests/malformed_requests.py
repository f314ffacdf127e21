#!/usr/bin/env python3
"""Sends a daemon requests that are wrong in every way that comes to mind, and says how it answered.

    malformed_requests.py --socket checkpoints/control.sock --count 10000
    malformed_requests.py --address 127.0.0.1:8080 --token-file checkpoints/control.token --count 10000

The exit status is 0 if the daemon answered an ordinary request after every hundredth of them and at the end, and no
answer was a fault of its own (500) or anything but HTTP. Nothing that is sent changes a run: what would pause, stop or
submit one is always malformed. Needs nothing but Python.
"""

import argparse
import collections
import json
import random
import socket
import sys
import time

GETS = ["/v1/status", "/v1/curves", "/v1/samples", "/v1/configuration", "/v1/queue", "/metrics", "/openapi.json", "/"]
POSTS = ["/v1/evaluate", "/v1/generate", "/v1/queue", "/v1/queue/1/move"]


class Daemon:
    """Where to connect, and what every request needs so as to be let in."""

    def __init__(self, arguments):
        self.path = arguments.socket
        self.address = None
        self.headers = b"Host: localhost\r\n"
        if arguments.address:
            host, port = arguments.address.rsplit(":", 1)
            self.address = (host.strip("[]"), int(port))
            with open(arguments.token_file, encoding="ascii") as file:
                self.headers += b"Authorization: Bearer " + file.read().strip().encode() + b"\r\n"

    def connect(self, seconds):
        if self.address:
            return socket.create_connection(self.address, timeout=seconds)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(seconds)
        connection.connect(self.path)
        return connection

    def request(self, method, target, body=b"", headers=b"Content-Type: application/json\r\n", length=None):
        length = len(body) if length is None else length
        head = method + b" " + target + b" HTTP/1.1\r\n" + self.headers + headers
        if length is not None and (body or length or method == b"POST"):
            head += b"Content-Length: " + str(length).encode() + b"\r\n"
        return head + b"\r\n" + body


def noise(random_, most):
    return random_.randbytes(random_.randrange(1, most))


def bad_json(daemon, random_):
    texts = [
        b"{", b"}", b"[", b"nul", b"{\"a\":}", b"{'a':1}", b"{\"length\":}", b"\x00", b"{\"prompt\":\"\n\"}",
        b"{},{}",
        b"[" * 20000, b"{\"a\":" * 5000, b"\"" * 999, b"{\"length\":1e99999}", b"{\"length\":" + b"9" * 5000 + b"}",
        b"{\"seed\":-0.0000001}", b"\xef\xbb\xbf[]", b"{\"stream\":true",
        b"{\"prompt\":\"\\u12\"}", noise(random_, 300),
    ]
    return daemon.request(b"POST", random_.choice(POSTS).encode(), random_.choice(texts))


def wrong_types(daemon, random_):
    values = [None, [], {}, -1, 1e300, "x", [[[]]], {"a": {}}, -(2**70), 2**70, "\x00", "\udfff"]
    names = ["prompt", "length", "temperature", "topK", "topP", "seed", "stream", "part", "configuration", "settings",
             "position", "unknown", "", "__proto__"]
    fields = {random_.choice(names): random_.choice(values) for _ in range(random_.randrange(1, 5))}
    # With a field that is always wrong, lest it be a good request by chance.
    fields["length" if random_.random() < 0.5 else "nothing"] = {}
    return daemon.request(b"POST", random_.choice(POSTS).encode(), json.dumps(fields).encode())


def not_utf8(daemon, random_):
    parts = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\x80", b"\xe2\x82"]
    text = b"".join(random_.choice(parts) for _ in range(random_.randrange(1, 9)))
    if random_.random() < 0.5:
        return daemon.request(b"POST", b"/v1/generate", b"{\"length\":1,\"prompt\":\"" + text + b"\"}")
    return daemon.request(b"GET", b"/v1/" + text)


def huge_lengths(daemon, random_):
    length = random_.choice([2**20 + 1, 2**31, 2**63 - 1, 2**63, 2**64, 10**40, -1, "0x10", "1e3", "1, 2", "", "+5"])
    return daemon.request(b"POST", random_.choice(POSTS).encode(), b"{}", length=length)


def path_tricks(daemon, random_):
    paths = [
        b"/../../etc/passwd", b"/v1/../../etc/passwd", b"/%2e%2e/%2e%2e/etc/passwd", b"//etc//passwd",
        b"/v1/queue/../stop",
        b"/v1/queue/%31%00", b"/v1/queue/-1", b"/v1/queue/99999999999999999999999", b"/v1/queue/1/../../stop",
        b"/v1/status%00", b"/v1/status;x", b"/V1/STATUS", b"/v1/status/", b"/v1//queue//1x", b"/" * 3000, b"*",
        b"http://evil.example/v1/nothing", b"v1/status", b"/v1/curves?points=%", b"/v1/curves?points=%zz&after=%ff",
        b"/v1/curves?" + b"&" * 5000, b"/v1/curves?after=1&after=2", b"/\\..\\..\\windows",
        b"/login?code=" + b"a" * 5000,
        b"/?" + noise(random_, 20).hex().encode(), b"/v1/curves?points=" + b"1" * 4000,
    ]
    return daemon.request(b"GET", random_.choice(paths))


def broken_http(daemon, random_):
    host = daemon.headers
    return random_.choice([
        noise(random_, 2000), b"\r\n\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n" + host + b"\r\n",
        b"GET / HTTP/1.1\r\n\r\n", b"BREW / HTTP/1.1\r\n" + host + b"\r\n",
        b"GET / HTTP/1.1\r\n" + host + b" folded: 1\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\n" + host + b"X: " + b"a" * 40000 + b"\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\n" + host + b"X: 1\r\n" * 500 + b"\r\n",
        b"GET /v1/status HTTP/1.1\r\n" + host + b"Bad Name: 1\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\n" + host + b"X: \x00\x01\r\n\r\n",
        b"POST /v1/evaluate HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /v1/evaluate HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"POST /v1/evaluate HTTP/1.1\r\n" + host
        + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n1\r\n{\r\n0\r\n\r\n",
        b"POST /v1/evaluate HTTP/1.1\r\n" + host + b"Transfer-Encoding: gzip\r\n\r\n{}",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + noise(random_, 100),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    ])


def other_methods(daemon, random_):
    methods = [b"PUT", b"DELETE", b"PATCH", b"HEAD", b"OPTIONS", b"TRACE", b"CONNECT", b"PROPFIND", b"LOCK"]
    return daemon.request(random_.choice(methods), random_.choice(GETS + POSTS).encode())


def wrong_media(daemon, random_):
    types = [b"text/plain", b"multipart/form-data; boundary=x", b"application/x-www-form-urlencoded", b"", b"\xff",
    b";"]
    headers = b"Content-Type: " + random_.choice(types) + b"\r\n"
    return daemon.request(b"POST", random_.choice(POSTS).encode(), b"{\"nothing\":1}", headers=headers)


def too_large(daemon, random_):
    body = b"{\"prompt\":\"" + b"x" * random_.choice([65536, 200000, 1 << 20, 3 << 20]) + b"\"}"
    return daemon.request(b"POST", b"/v1/generate", body)


def cut_off(daemon, random_):
    whole = daemon.request(b"POST", b"/v1/generate", b"{\"length\":0}" + b" " * 500)
    return whole[: random_.randrange(1, len(whole) - 1)]


KINDS = [bad_json, wrong_types, not_utf8, huge_lengths, path_tricks, broken_http, other_methods, wrong_media, too_large,
         cut_off]


def exchange(daemon, data, leave):
    """Sends the bytes; gives what came back: a status, or what came instead of one."""
    try:
        with daemon.connect(1.0) as connection:
            try:
                connection.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass
            if leave:
                return "left at once"
            connection.settimeout(0.1)
            answer = b""
            while b"\r\n" not in answer:
                piece = connection.recv(4096)
                if not piece:
                    break
                answer += piece
    except socket.timeout:
        return "no answer yet"
    except (ConnectionResetError, BrokenPipeError):
        return "closed"
    if not answer:
        return "closed"
    words = answer.split(b" ", 2)
    return words[1].decode("ascii", "replace") if words[0] in (b"HTTP/1.1", b"HTTP/1.0") else "not HTTP"


def drip(daemon, connections):
    """Opens connections that send a byte of a body now and then, and leaves them so."""
    head = daemon.request(b"POST", b"/v1/generate", b"", length=1000)
    for _ in range(10):
        try:
            connection = daemon.connect(1.0)
            connection.sendall(head)
            connections.append(connection)
        except OSError:
            pass
    for connection in connections:
        try:
            connection.sendall(b" ")
        except OSError:
            pass


def is_well(daemon):
    """Whether an ordinary request is answered as it should be."""
    with daemon.connect(20.0) as connection:
        connection.sendall(daemon.request(b"GET", b"/v1/status"))
        answer = b""
        while b"\r\n" not in answer:
            piece = connection.recv(65536)
            if not piece:
                return False
            answer += piece
        return answer.startswith(b"HTTP/1.1 200 ")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--socket", help="path of the daemon's Unix socket")
    place.add_argument("--address", help="HOST:PORT of the daemon")
    parser.add_argument("--token-file", help="with --address: the file control.token")
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.address and not arguments.token_file:
        parser.error("--address needs --token-file")
    daemon = Daemon(arguments)
    random_ = random.Random(arguments.seed)
    tally = collections.defaultdict(collections.Counter)
    slow = []
    began = time.monotonic()
    well = is_well(daemon)
    for index in range(arguments.count):
        kind = random_.choice(KINDS)
        answer = exchange(daemon, kind(daemon, random_), leave=random_.random() < 0.05)
        tally[kind.__name__][answer] += 1
        if index % 100 == 99:
            if len(slow) < 60:
                drip(daemon, slow)
            well = well and is_well(daemon)
    for connection in slow:
        connection.close()
    well = well and is_well(daemon)
    for name, answers in sorted(tally.items()):
        print(f"{name:14}", "  ".join(f"{answer}: {count}" for answer, count in sorted(answers.items())))
    total = sum(tally.values(), collections.Counter())
    print(f"{'all':14}", "  ".join(f"{answer}: {count}" for answer, count in sorted(total.items())))
    print(f"{arguments.count} requests in {time.monotonic() - began:.1f} s, and {len(slow)} slow bodies beside them;",
          "the daemon answers as it should" if well else "the daemon does NOT answer as it should")
    return 0 if well and not total["500"] and not total["not HTTP"] else 1


if __name__ == "__main__":
    sys.exit(main())
