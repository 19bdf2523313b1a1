"""What the scripts beside it share: numbers among their arguments, the machine, and a program that answers lines."""

import argparse
import os
import platform
import subprocess
import sys
from pathlib import Path


def positive(text):
    """A whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def built(name):
    """What cargo built."""
    return Path(__file__).resolve().parents[2] / "target/release" / name


def cores():
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_model():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def load():
    """The machine's, over the last minute."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


class Program:
    """One of qembed's examples in a process of its own, which answers every line that it is given with one."""

    def __init__(self, command, threads=None):
        """Its command; how many threads it uses, where that matters."""
        command = [str(part) for part in command]
        threads = {} if threads is None else {"RAYON_NUM_THREADS": str(threads)}
        try:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, **threads},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                bufsize=1,
            )
        except OSError as error:
            sys.exit(f"{command[0]}: {error.strerror}")

    def ask(self, line):
        try:
            self.process.stdin.write(line + "\n")
        except BrokenPipeError:
            pass
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"qembed's program ended early: exit {self.process.wait()}")
        return answer.strip()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
