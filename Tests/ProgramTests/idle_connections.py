"""Opens connections, says nothing over them, and keeps them open until it is ended.

    idle_connections.py COUNT HOST:PORT...

so many to each address. Writes a line once all are open that can be."""

import os
import resource
import select
import signal
import socket
import sys
import time

SECONDS = 10


def begin(host, port):
    connection = socket.socket()
    connection.setblocking(False)
    connection.connect_ex((host, port))
    return connection


def main():
    # Whoever waits for the shell that starts this knows its end by a descriptor that all it starts inherit.
    os.closerange(3, 1024)
    count, addresses = int(sys.argv[1]), [address.rsplit(":", 1) for address in sys.argv[2:]]
    needed = count * len(addresses) + 64
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, max(needed, hard)))
    connections = {}
    for host, port in addresses:
        for _ in range(count):
            connection = begin(host, int(port))
            connections[connection.fileno()] = connection
    # Some may never be accepted, where nobody listens any more or a process can have no more open.
    waiting, deadline = select.poll(), time.monotonic() + SECONDS
    for descriptor in connections:
        waiting.register(descriptor, select.POLLOUT)
    pending, refused = set(connections), 0
    while pending and time.monotonic() < deadline:
        for descriptor, _ in waiting.poll(100):
            waiting.unregister(descriptor)
            pending.discard(descriptor)
            refused += connections[descriptor].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
    print(f"open: {len(connections) - len(pending) - refused} of {len(connections)}", flush=True)
    while True:
        signal.pause()


main()
