#!/usr/bin/env python3
"""Runs meson's tests and counts the single ones of cmocka; prints the output of those that fail.

usage: units.py BUILD-DIRECTORY [ARGUMENT OF MESON TEST...]
The last line is "N passed, M failed, K skipped"; exit status 0 when M is 0 and N is not.
"""
import json
import re
import subprocess
import sys
from pathlib import Path

PASSED = re.compile(r"^\[  PASSED  \] (\d+) test", re.M)
FAILED = re.compile(r"^\[  FAILED  \] (\d+) test", re.M)
LINES = 60          # of a failing test's output


def total(pattern, text):
    return sum(int(n) for n in pattern.findall(text))


def count(entry):
    """Passed, failed and skipped tests of one program."""
    text = entry.get("stdout", "") + "\n" + entry.get("stderr", "")
    good, bad = total(PASSED, text), total(FAILED, text)
    if entry["result"] == "SKIP":
        return 0, 0, 1
    if entry["result"] in ("OK", "EXPECTEDFAIL"):
        return max(good, 1), 0, 0
    print(f"FAIL {entry['name']}: {entry['result']}")
    print("\n".join("    " + line for line in text.strip().splitlines()[-LINES:]))
    return good, max(bad, 1), 0


def main():
    directory = sys.argv[1]
    log = Path(directory) / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    run = subprocess.run(["meson", "test", "-C", directory, "--no-rebuild", *sys.argv[2:]],
                         text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if not log.exists():
        print(run.stdout)
        print("0 passed, 1 failed, 0 skipped")
        return 1
    sums = [0, 0, 0]
    for line in log.read_text(encoding="utf-8").splitlines():
        sums = [a + b for a, b in zip(sums, count(json.loads(line)))]
    print("%d passed, %d failed, %d skipped" % tuple(sums))
    return 0 if sums[0] > 0 and sums[1] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
