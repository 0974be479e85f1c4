"""A TCP relay that can hold back what one side says, or end all connections: a way that fails at a moment of choice."""

import contextlib
import socket
import threading
from collections.abc import Callable


class Valve:
    """Relays connections to a target. While it is held, requests still arrive and no answer comes back.

    Args:
        address: address of this machine to listen on, at a port of the system's choice (`port`).
        target: address and port to connect to.
    """

    def __init__(self, address: str, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server((address, 0))
        self.port: int = self._listener.getsockname()[1]
        self._open = threading.Event()
        self._open.set()
        self._lock = threading.Lock()
        self._holds = self._cuts = 0
        self._sockets: set[socket.socket] = set()
        self.connections = 0

    def __enter__(self) -> "Valve":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.set()
        _shut(self._listener)
        self._end_all()

    def hold(self) -> None:
        """From now on keep back what the target answers, on all connections."""
        with self._lock:
            self._holds += 1
            self._open.clear()

    def release(self) -> None:
        """Pass on what was kept back, where anybody still listens, once whoever held it has released it."""
        with self._lock:
            self._holds = max(self._holds - 1, 0)
            if not self._holds:
                self._open.set()

    def cut(self) -> None:
        """End all connections, and from now on every new one."""
        with self._lock:
            self._cuts += 1
        self._end_all()

    def mend(self) -> None:
        """Let connections through again, once whoever cut them has mended it."""
        with self._lock:
            self._cuts = max(self._cuts - 1, 0)

    def away(self, seconds: float) -> None:
        """Be cut for so long: nothing gets through."""
        self.cut()
        _after(seconds, self.mend)

    def silent(self, seconds: float) -> None:
        """Be held for so long, and then cut for a moment: what was asked has happened, and is never answered."""
        self.hold()

        def end() -> None:
            self.cut()
            self.release()
            _after(0.2, self.mend)

        _after(seconds, end)

    def _end_all(self) -> None:
        with self._lock:
            ended, self._sockets = self._sockets, set()
        for each in ended:
            _shut(each)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        if self._cuts:
            _shut(near)
            return
        try:
            far = socket.create_connection(self._target, timeout=10)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        with self._lock:
            self._sockets |= {near, far}
            self.connections += 1
            late = self._cuts
        threading.Thread(target=self._relay, args=(near, far, False), daemon=True).start()
        threading.Thread(target=self._relay, args=(far, near, True), daemon=True).start()
        if late:
            self._end_all()

    def _relay(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if answers:
                    self._open.wait()
                sink.sendall(data)
        for each in (source, sink):
            _shut(each)
        with self._lock:
            self._sockets -= {source, sink}


def _after(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
