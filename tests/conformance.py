#!/usr/bin/env python3
"""Replays recorded answers of a real Vault, which stand beside the project in ../shared.

usage: conformance.py BINARY [PART OF A NAME...]
Recordings of what Coffer does not have yet are left out here, by name.  The last line is
"N passed, M failed"; exit status 0 when M is 0.  Without ../shared it says "not here";
COFFER_SHARED names it when it stands elsewhere.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from harness import free_port

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("COFFER_SHARED", ROOT.parent / "shared"))
SCRATCH = ROOT / "build" / "recorded"
LIMIT_S = 150       # for one case

# Cases and golden files by name, with the steps left out that need what Coffer does not have.
CASES = {
    "http": [], "init-shamir": [], "keys": [], "mounts": [], "auth-mounts": [], "policies": [],
    "token": [], "token-roles": [], "userpass": [], "kv1": [], "kv2": [], "cubbyhole": [],
    "wrapping": [], "leases": [], "audit": [], "tools": [], "raw": [], "transit": [],
    "transit-sign": [], "ssh": [], "raft": [],
}
GOLDEN = {
    "01-local": [], "02-operator": [], "03-kv1": [], "04-kv2": [], "05-secrets": [],
    "06-auth": ["06-auth-03", "06-auth-04", "06-auth-12"],      # AppRole
    "07-token": [], "08-policy": [], "09-generic": [],
}
# Not here: 10-lease (PKI).

# Checks of the store that a real Vault left behind, likewise.
STORE_LATER = ("approle", "identity/", "pki/", "totp/", "sys/policies/password", "sys/quotas")

COUNT = re.compile(r"^(\d+) passed, (\d+) failed", re.M)


def run(name, command):
    """Run one checker; print what it says, count its steps."""
    with subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          start_new_session=True) as child:
        try:
            text = child.communicate(timeout=LIMIT_S)[0]
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGTERM)
            text = child.communicate()[0] + f"FAIL {name}: no end after {LIMIT_S} s\n0 passed, 1 failed\n"
    counts = COUNT.findall(text)
    passed, failed = map(int, counts[-1]) if counts else (0, 1)
    if not counts:
        print(text[-2000:])
    print("".join(line[:400] + "\n" for line in text.splitlines()
                  if line.startswith("FAIL") or line.startswith("    ")), end="")
    print(f"{name}: {passed} passed, {failed} failed", flush=True)
    return passed, failed


def without(source, key, later):
    """A copy of a recording without some of its steps."""
    recording = json.loads(source.read_text(encoding="utf-8"))
    recording["steps"] = [step for step in recording["steps"] if step.get(key) not in later]
    copy = SCRATCH / source.name
    copy.write_text(json.dumps(recording), encoding="utf-8")
    return copy


def http_cases(binary):
    checker = SHARED / "conformance" / "vaultcheck.py"
    for name, later in CASES.items():
        file = without(SHARED / "conformance" / "cases" / (name + ".json"), "name", later)
        yield name, [sys.executable, checker, "check", "--bin", binary, "--port", free_port(), file]


def golden_files(binary):
    checker = SHARED / "cli" / "clicheck.py"
    for name, later in GOLDEN.items():
        file = without(SHARED / "cli" / "golden" / (name + ".json"), "id", later)
        yield "cli " + name, [sys.executable, checker, "--cli", binary, "--server", binary,
                              "--port", free_port(), file]


def old_store(binary):
    """A file store and a snapshot that a real Vault wrote; the manifest without checks of later."""
    source = SHARED / "fixtures" / "vault-1.8"
    manifest = json.loads((source / "manifest.json").read_text())
    stores = [store for store in manifest["stores"] if store["type"] in ("file", "raft")]
    # Our lock file in it tells that a server has run on the recording itself and changed it.
    if any((source / store["path"] / ".coffer-lock").exists() for store in stores):
        print("store of Vault 1.8: this copy was written to, it is no recording any more: not run")
        return
    for store in stores:
        store["checks"] = [c for c in store["checks"]
                           if not any(part in c["path"] for part in STORE_LATER)]
    manifest["stores"] = stores
    folder = SCRATCH / "vault-1.8"
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    # A copy, not a link: the checker's own "cp -r" would keep the link, and the server would
    # write into the recording.
    for store in stores:
        copy = folder / store["path"]
        if copy.is_symlink():
            copy.unlink()
        if (source / store["path"]).is_dir():
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(source / store["path"], copy)
        else:
            shutil.copyfile(source / store["path"], copy)
    yield "stores of Vault 1.8", ["env", f"PORT={free_port()}", "bash", source / "check.sh",
                                  binary, folder]


def main():
    binary, wanted = Path(sys.argv[1]).resolve(), sys.argv[2:]
    if not (SHARED / "conformance").is_dir():
        print("recorded answers: not here")
        print("0 passed, 0 failed")
        return 0
    SCRATCH.mkdir(parents=True, exist_ok=True)
    passed = failed = 0
    for part in (http_cases, golden_files, old_store):
        for name, command in part(binary):
            if not wanted or any(word in name for word in wanted):
                good, bad = run(name, command)
                passed, failed = passed + good, failed + bad
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
