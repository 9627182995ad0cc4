# SPDX-License-Identifier: Apache-2.0
"""A terminal in which the real program runs, and what a person sees in it."""
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from conftest import BINARY


class Terminal:
    """A terminal of so many rows and columns; what a person sees in it is `screen()`."""

    def __init__(self, flexwatt, *arguments, rows=24, columns=100, **env):
        self.rows, self.columns = rows, columns
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.master, self.text, self.pending = master, "", b""
        self.process = subprocess.Popen(
            [str(BINARY), *map(str, arguments)], env={**flexwatt.env, "TERM": "xterm", **env}, cwd=flexwatt.directory,
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)

    def read(self, seconds=0.05):
        deadline = time.monotonic() + seconds
        while select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:  # the other end is closed
                return False
            if not data:
                return False
            self.pending += data
            try:
                self.text += self.pending.decode()
                self.pending = b""
            except UnicodeDecodeError:  # in the middle of a character
                pass
        return True

    def until(self, pattern, seconds=60):
        deadline = time.monotonic() + seconds
        alive = True
        while not re.search(pattern, self.text):
            assert alive and time.monotonic() < deadline, f"no {pattern!r} in:\n{self.text}"
            alive = self.read()  # false at its end, whose last words are in the text by then

    def end(self, seconds=60):
        deadline = time.monotonic() + seconds
        while self.read():
            assert time.monotonic() < deadline, self.text
        return self.process.wait(timeout=10)

    def type(self, key):
        os.write(self.master, key)

    def screen(self):
        """Carries out what the program sent: text, CR, LF, cursor up, erase below and to the right, wrap on and off."""
        lines, row, column, wrap = [[]], 0, 0, True
        for found in re.finditer(r"\x1b\[([?\d;]*)([A-Za-z])|(.)", self.text, re.S):
            number, command, char = found.groups()
            if command == "A":
                row = max(0, row - int(number or 1))
            elif command == "J":
                del lines[row + 1:]
                del lines[row][column:]
            elif command == "K":
                del lines[row][column:]
            elif command and command in "hl":
                wrap = command == "h"
            elif command == "m":
                continue
            elif command:
                raise AssertionError(f"the terminal of this test does not know {found[0]!r}")
            elif char == "\r":
                column = 0
            elif char == "\n":
                row += 1
                while len(lines) <= row:
                    lines.append([])
            else:
                if column == self.columns:
                    if wrap:
                        row, column = row + 1, 0
                        while len(lines) <= row:
                            lines.append([])
                    else:
                        column -= 1
                lines[row] += [" "] * (column + 1 - len(lines[row]))
                lines[row][column] = char
                column += 1
        return [("".join(line)).rstrip() for line in lines]
