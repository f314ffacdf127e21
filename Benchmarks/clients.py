#!/usr/bin/env python3
"""How much clients of the daemon slow training down.

One long training is started; windows with clients and windows without follow each other in pairs, whose order
alternates. Clients are connections that are kept: each asks GET /v1/status once a second, or follows /v1/events. They
all live in this one process, which gives way to everybody (nice 19) and whose own processor time is told, since it may
have to share the training's cores. Steps and seconds of a window are those of the daemon's own status.

    Benchmarks/clients.py --pairs 10 --seconds 60
    Benchmarks/clients.py --folder FOLDER -- mpirun -n 2 lockstepd run configs/default.yaml --set ...

What follows -- starts the training, whose folder is FOLDER; without it, launch/train trains configs/default.yaml on
two ranks. Exits with 1 if a request has failed. Needs nothing but Python.
"""

import argparse
import collections
import json
import os
import selectors
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

REQUEST_SECONDS = 10  # a status that takes longer has failed


def main():
    arguments = parse()
    top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    made, folder, command = None, arguments.folder, arguments.command
    if not command:
        made = tempfile.mkdtemp(prefix="lockstep-clients-")
        folder = f"{made}/clients"
        command = [f"{top}/launch/train", "-n", "2", "--set", "name=clients", "--set", "training.epochs=1000",
                   "--set", f"output.directory={made}"]
    training = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        os.nice(19)
        daemon = Daemon(folder, training, arguments.start)
        failed = measure(daemon, arguments)
    finally:
        stop(training)
        if made:
            shutil.rmtree(made, ignore_errors=True)
    sys.exit(1 if failed else 0)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10, help="windows with clients, and as many without")
    parser.add_argument("--seconds", type=float, default=60, help="length of a window")
    parser.add_argument("--warm-up", type=float, default=10, help="seconds of training before the first window")
    parser.add_argument("--clients", type=int, default=100, help="connections that ask once a second")
    parser.add_argument("--followers", type=int, default=10, help="connections that follow events")
    parser.add_argument("--start", type=float, default=900, help="seconds until training has to be under way")
    parser.add_argument("--folder", help="the training's folder, if a command is given")
    parser.add_argument("command", nargs="*", metavar="-- command", help="starts the training")
    arguments = parser.parse_args()
    if bool(arguments.command) != bool(arguments.folder):
        parser.error("a command needs --folder, the folder of the run it trains, and the other way round")
    return arguments


def stop(training):
    """Lets the training save and end; ends it by force when it does not."""
    for number, seconds in ((signal.SIGUSR1, 30), (signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        if training.poll() is None:
            training.send_signal(number)
            try:
                training.wait(seconds)
            except subprocess.TimeoutExpired:
                pass


def measure(daemon, arguments):
    """Prints a line for each pair of windows and what they come to; returns how many requests failed."""
    time.sleep(arguments.warm_up)
    print(f"{daemon.ranks} ranks on {os.cpu_count()} cores; {arguments.clients} clients ask once a second, "
          f"{arguments.followers} follow events; windows of {arguments.seconds:g} s")
    print("pair  steps/s without     with   ratio  server CPU without    with  requests  slowest  client CPU")
    begin = daemon.resident()
    rates = {False: [], True: []}
    servers = {False: [], True: []}
    growth = {False: 0, True: 0}
    ratios, totals = [], collections.Counter()
    for pair in range(arguments.pairs):
        seen = {}
        for asked in (False, True) if pair % 2 == 0 else (True, False):
            clients = Clients(daemon.path, arguments.clients, arguments.followers) if asked else None
            window = Window(daemon, clients, arguments.seconds)
            seen[asked] = window
            rates[asked].append(window.rate)
            servers[asked].append(window.server)
            growth[asked] += window.growth
        ratios.append(seen[True].rate / seen[False].rate)
        clients = seen[True].clients
        totals.update(answered=clients.answered, events=clients.events, failed=len(clients.failures))
        print(f"{pair + 1:4}  {seen[False].rate:15.2f}  {seen[True].rate:7.2f}  {ratios[-1]:6.4f}  "
              f"{seen[False].server:17.3%}  {seen[True].server:6.3%}  {clients.answered:8}  "
              f"{clients.slowest:5.2f} s  {clients.processor:9.2%}", flush=True)
        for failure, count in collections.Counter(clients.failures).items():
            print(f"      failed {count} times: {failure}")
    without, with_clients = statistics.median(rates[False]), statistics.median(rates[True])
    print(f"median steps/s       {without:.2f} without, {with_clients:.2f} with clients: "
          f"ratio {with_clients / without:.4f} (median of the pairs' ratios {statistics.median(ratios):.4f}, "
          f"{min(ratios):.4f} to {max(ratios):.4f})")
    print(f"server's CPU         {statistics.median(servers[True]):.3%} of a core with clients, "
          f"{statistics.median(servers[False]):.3%} without")
    print(f"requests             {totals['answered']} answered, {totals['failed']} failed; {totals['events']} events")
    print(f"resident, rank 0     {begin / 1e6:.1f} MB at the beginning, {daemon.resident() / 1e6:.1f} MB at the end; "
          f"it grew by {growth[True] / 1e6:.1f} MB with clients and by {growth[False] / 1e6:.1f} MB without")
    return totals["failed"]


class Daemon:
    """A daemon that trains, at the socket in its folder."""

    def __init__(self, folder, training, seconds):
        self.path = f"{folder}/control.sock"
        deadline = time.monotonic() + seconds
        while True:
            if training.poll() is not None:
                sys.exit(f"the training has ended with status {training.returncode} before it began")
            try:
                if json.loads(self.get("/v1/status"))["activity"] == "training":
                    break
            except OSError as error:
                if time.monotonic() > deadline:
                    sys.exit(f"{self.path} does not answer: {error}; expected a run that trains, see --start")
            time.sleep(0.1)
        self.ranks = len(json.loads(self.get("/v1/status"))["ranks"])

    def connect(self):
        # A socket's path may be too long to connect to: the link in its folder leads to one that is not.
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(REQUEST_SECONDS)
        connection.connect(os.path.realpath(self.path))
        return connection

    def get(self, path):
        with self.connect() as connection:
            connection.sendall(request(path, "close"))
            answer = b""
            while part := connection.recv(65536):
                answer += part
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise OSError(f"{path} was answered with {head[:80]!r}")
        return body.decode()

    def stand(self):
        """Steps made, at so many seconds of the daemon's life."""
        status = json.loads(self.get("/v1/status"))
        return status["run"]["step"], status["uptime"]

    def server_seconds(self):
        """Processor time of the thread that answers."""
        for line in self.get("/metrics").splitlines():
            if line.startswith("lockstep_control_cpu_seconds_total "):
                return float(line.split()[1])
        raise OSError("/metrics has no lockstep_control_cpu_seconds_total")

    def resident(self):
        """Bytes of memory that the process which listens, rank 0, has resident."""
        with self.connect() as connection:
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        process = struct.unpack("3i", credentials)[0]
        with open(f"/proc/{process}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Window:
    """Some seconds of training: steps a second, the part of a core that the server used, the bytes by which rank 0
    grew, and the clients if any."""

    def __init__(self, daemon, clients, seconds):
        self.clients = clients
        server, resident = daemon.server_seconds(), daemon.resident()
        step, begin = daemon.stand()
        if clients:
            clients.run(seconds)
        else:
            time.sleep(seconds)
        last_step, end = daemon.stand()
        self.rate = (last_step - step) / (end - begin)
        self.server = (daemon.server_seconds() - server) / (end - begin)
        self.growth = daemon.resident() - resident


class Clients:
    """Connections that ask once a second, evenly dealt over it, and such that follow events."""

    def __init__(self, path, askers, followers):
        self.path = os.path.realpath(path)
        self.askers = askers
        self.followers = followers
        self.answered = self.events = 0
        self.slowest = 0.0  # seconds
        self.processor = 0.0  # of a core, this process
        self.failures = []

    def run(self, seconds):
        processor = time.process_time()
        begin = time.monotonic()
        end = begin + seconds
        with selectors.EpollSelector() as selector:
            self.selector = selector
            queue = collections.deque(  # who asks next, and when
                (begin + index / self.askers, Asker(self)) for index in range(self.askers))
            followers = [Follower(self) for _ in range(self.followers)]
            while (now := time.monotonic()) < end:
                while queue and queue[0][0] <= now:
                    due, asker = queue.popleft()
                    asker.ask(now)
                    queue.append((due + 1, asker))
                due = min(queue[0][0], end) if queue else end
                for key, _ in selector.select(max(0, due - time.monotonic())):
                    key.data.read()
            self.drain(end + REQUEST_SECONDS, [asker for _, asker in queue])
            for follower in followers:
                follower.close()
        self.processor = (time.process_time() - processor) / (time.monotonic() - begin)

    def drain(self, deadline, askers):
        """Waits for the answers that are still to come."""
        while any(asker.asked for asker in askers) and time.monotonic() < deadline:
            for key, _ in self.selector.select(0.1):
                key.data.read()
        for asker in askers:
            if asker.asked:
                asker.fail("no answer in time")
            asker.close()


class Connection:
    def __init__(self, clients):
        self.clients = clients
        self.socket = None
        self.data = b""

    def open(self):
        self.data = b""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(REQUEST_SECONDS)
        self.socket.connect(self.clients.path)
        self.clients.selector.register(self.socket, selectors.EVENT_READ, self)

    def receive(self):
        """What has come; None, and a failure, when the connection is over."""
        try:
            part = self.socket.recv(1 << 20)
        except OSError as error:
            self.fail(str(error))
            return None
        if not part:
            self.fail("the daemon has closed the connection")
            return None
        return part

    def fail(self, why):
        self.clients.failures.append(why)
        self.close()

    def close(self):
        if self.socket:
            self.clients.selector.unregister(self.socket)
            self.socket.close()
            self.socket = None


class Asker(Connection):
    def __init__(self, clients):
        super().__init__(clients)
        self.asked = None  # when, while there is no answer yet

    def ask(self, now):
        if self.asked:
            if now - self.asked < REQUEST_SECONDS:
                return  # still waiting: not counted, but its time will be seen
            self.fail("no answer in time")
        try:
            if not self.socket:
                self.open()
            self.socket.sendall(STATUS)
            self.asked = now
        except OSError as error:
            self.fail(str(error))

    def read(self):
        part = self.receive()
        if part is None:
            return
        self.data += part
        head, separator, body = self.data.partition(b"\r\n\r\n")
        if not separator:
            return
        lowered = head.lower()
        if not head.startswith(b"HTTP/1.1 200 ") or b"content-length:" not in lowered:
            return self.fail(f"answered with {head[:60]!r}")
        if len(body) < int(lowered.split(b"content-length:")[1].split(b"\r\n")[0]):
            return
        self.clients.slowest = max(self.clients.slowest, time.monotonic() - self.asked)
        self.clients.answered += 1
        self.data, self.asked = b"", None

    def close(self):
        super().close()
        self.asked = None


class Follower(Connection):
    def __init__(self, clients):
        super().__init__(clients)
        try:
            self.open()
            self.socket.sendall(request("/v1/events", "keep-alive"))
        except OSError as error:
            self.fail(str(error))

    def read(self):
        part = self.receive()
        if part is None:
            return
        if not self.data:
            self.data = part[:16]
            if not part.startswith(b"HTTP/1.1 200 "):
                return self.fail(f"/v1/events was answered with {part[:60]!r}")
        self.clients.events += part.count(b"event: ")


def request(path, connection):
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n\r\n".encode()


STATUS = request("/v1/status", "keep-alive")


if __name__ == "__main__":
    main()
