"""How a program hears SIGINT and SIGTERM: within a second, whatever its main thread does, and from its first line on.

Python calls a handler between two steps of the main thread, which may be loading weights for twenty seconds. So the
signals are heard by a thread of their own. It needs neither ROS nor torch, which take seconds to load.
"""

from __future__ import annotations

import _thread
import os
import signal
import socket
import sys
import threading
import time

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# One Ctrl-C may come twice: from the terminal, to the whole process group, and from launch.
SAME_S = 0.3
# The main thread notices a signal so soon, or what it does is interrupted: SPIN_S of running.py is 0.1 s.
NOTICE_S = 0.4
# What has not ended so long after the signal is abandoned: while starting, nothing of value is under way; later, last
# messages are sent. ros2 launch sends SIGTERM after 5 s.
START_S, END_S = 0.9, 4.0


class Ending:
    """Notes signals, and ends the program where it does not end itself: with 128 and the signal's number."""

    def __init__(self, name: str) -> None:
        self.asked: list[int] = []
        self.started = False
        self._name, self._noticed, self._interrupt = name, threading.Event(), False
        self._reading, self._writing = socket.socketpair()
        self._writing.setblocking(False)
        self._before = {number: signal.signal(number, self._in_main_thread) for number in SIGNALS}
        self._fd_before = signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._hear, name="signals", daemon=True).start()

    def notice(self) -> bool:
        """Whether the program is to end; the main thread asks it often, and then ends by itself."""
        if self.asked:
            self._noticed.set()
        return bool(self.asked)

    def stop_listening(self) -> None:
        """Give signals back to whatever heard them before."""
        global _listening
        _listening = None
        signal.set_wakeup_fd(self._fd_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._writing.close()

    def abandon(self, why: str) -> None:
        """End now, whatever is under way: at once, since an interpreter that takes itself apart may crash in it."""
        self._say(f"{why}: ended without waiting")
        os._exit(128 + (self.asked or [signal.SIGTERM])[-1])

    def _in_main_thread(self, number: int, frame: object) -> None:
        if (self._interrupt or not self.started) and not self._noticed.is_set():
            self._noticed.set()  # once: what is cleaned up is not interrupted
            raise KeyboardInterrupt

    def _hear(self) -> None:
        heard_s, own = 0.0, False
        while data := self._reading.recv(1):
            if data[0] not in SIGNALS:
                continue
            now_s = time.monotonic()
            if not self.asked:
                heard_s = now_s
                self.asked.append(data[0])
                self._say(f"{signal.Signals(data[0]).name}: ending; once more: at once")
                threading.Thread(target=self._watch, name="ending", daemon=True).start()
            elif self._interrupt and not own:
                own = True  # this one comes from _watch
            elif now_s - heard_s > SAME_S:
                os._exit(128 + data[0])
        self._reading.close()

    def _watch(self) -> None:
        """See to it that the program ends."""
        until_s = time.monotonic() + (END_S if self.started else START_S)
        if not self._noticed.wait(NOTICE_S):
            self._interrupt = True
            _thread.interrupt_main(signal.Signals(self.asked[0]))
        time.sleep(max(0.0, until_s - time.monotonic()))
        if _listening is self:
            self.abandon("what was under way has not ended")

    def _say(self, words: str) -> None:
        sys.stderr.write(f"{self._name}: {words}\n")
        sys.stderr.flush()


_listening: Ending | None = None


def listen(name: str) -> Ending:
    """Hear signals from now on, in the name of this program; the one that listens already where there is one."""
    global _listening
    if _listening is None:
        _listening = Ending(name)
    return _listening
