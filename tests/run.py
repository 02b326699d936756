#!/usr/bin/env python3
"""Runs the black-box tests: the journeys and the client libraries.

usage: run.py BINARY [PART OF A TEST'S NAME...]
One line per failing test, its trace and its servers' logs before it.  The last line is
"N passed, M failed, K skipped"; exit status 0 when M is 0 and N is not.
"""
import sys
import time
import unittest
from pathlib import Path

import harness

HERE = Path(__file__).resolve().parent
SLOW_S = 5          # tests that take longer are named


class Result(unittest.TestResult):
    """Counts, and prints what is not as it should be."""

    def __init__(self):
        super().__init__()
        self.passed, self.broken, self.began = 0, 0, 0.0

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        took = time.monotonic() - self.began
        if took > SLOW_S:
            print(f"     {test.id()} took {took:.1f} s")
        sys.stdout.flush()

    def addSuccess(self, test):
        self.passed += 1

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.report(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self.report(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.report(subtest, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"SKIP {test.id()}: {reason}")

    def report(self, test, err):
        self.broken += 1
        print(self._exc_info_to_string(err, test).rstrip())
        print(f"FAIL {test.id()}: {str(err[1]).strip().splitlines()[-1:]}")


def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


def main():
    harness.binary = str(Path(sys.argv[1]).resolve())
    wanted = sys.argv[2:]
    loader, suite = unittest.TestLoader(), unittest.TestSuite()
    for folder in ("journeys", "clients"):
        found = loader.discover(str(HERE / folder), pattern="*_test.py", top_level_dir=str(HERE))
        for test in flat(found):
            if not wanted or any(part in test.id() for part in wanted):
                suite.addTest(test)
    result = Result()
    suite.run(result)
    print(f"{result.passed} passed, {result.broken} failed, {len(result.skipped)} skipped")
    return 0 if result.passed > 0 and result.broken == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
