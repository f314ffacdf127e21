"""A way to a server that can be cut and be slow, as a network is; like `ssh -L` it leads there from another port."""

import contextlib
import socket
import threading
import time


class Tunnel:
    """Listens at a free port of 127.0.0.1, and leads every connection to a host and port. Ends with the process."""

    def __init__(self, host, port):
        self.target = (host, port)
        self.is_cut = False
        # Of each connection and direction; None: as fast as it goes.
        self.bytes_per_second = None
        self._sockets = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """Ends every connection, and each new one at once, until `mend`."""
        self.is_cut = True
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def mend(self):
        self.is_cut = False

    def _accept(self):
        while True:
            near, _ = self._listener.accept()
            try:
                far = None if self.is_cut else socket.create_connection(self.target, timeout=10)
            except OSError:
                far = None
            if far is None:
                near.close()
                continue
            far.settimeout(None)
            self._sockets += [near, far]
            threading.Thread(target=self._pass_on, args=(near, far), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(far, near), daemon=True).start()

    def _pass_on(self, source, destination):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 12):
                destination.sendall(data)
                if self.bytes_per_second:
                    time.sleep(len(data) / self.bytes_per_second)
        for each in [source, destination]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
