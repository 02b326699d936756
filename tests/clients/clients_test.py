"""Client libraries of others against the server: one of npm, one of PyPI, one Go module.

Versions are pinned beside each journey.  The libraries are installed below build/clients when the
test runs, never anywhere else.  Without a runtime the test is skipped, but not in CI.
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import harness
from harness import Journey

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build" / "clients"
INSTALL_S, RUN_S = 400, 120


class Clients(Journey):
    """init, unseal, mounts, KV v1 and v2, policies, userpass, transit, through each library."""

    def need(self, *programs):
        for program in programs:
            if shutil.which(program) is None:
                if os.environ.get("CI"):
                    self.fail(f"no {program} here, and CI is set")
                self.skipTest(f"no {program} here")

    def call(self, command, seconds, cwd, env=None):
        done = subprocess.run([str(part) for part in command], cwd=cwd, text=True, timeout=seconds,
                              env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        self.assertEqual(done.returncode, 0, f"{command}:\n{done.stdout[-4000:]}")

    def journey(self, command, cwd):
        server = self.server().start()
        env = {**harness.clean_environment(self.dir), "VAULT_ADDR": server.address}
        self.call(command, RUN_S, cwd, env)
        self.assertTrue(server.running())

    def test_hvac_of_pypi(self):
        folder = BUILD / "python"
        if not (folder / "bin" / "python").exists():
            self.call([sys.executable, "-m", "venv", folder], INSTALL_S, HERE)
        self.call([folder / "bin" / "python", "-m", "pip", "install", "--quiet",
                   "--disable-pip-version-check", "-r", HERE / "python" / "requirements.txt"],
                  INSTALL_S, HERE)
        self.journey([folder / "bin" / "python", HERE / "python" / "journey.py"], folder)

    def test_node_vault_of_npm(self):
        self.need("node", "npm")
        folder = BUILD / "node"
        shutil.copytree(HERE / "node", folder, dirs_exist_ok=True)
        self.call(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], INSTALL_S, folder)
        self.journey(["node", folder / "journey.js"], folder)

    def test_the_go_module_of_vault(self):
        self.need("go")
        folder = BUILD / "go"
        folder.mkdir(parents=True, exist_ok=True)
        env = {**os.environ, "GOMODCACHE": str(folder / "mod"), "GOCACHE": str(folder / "cache"),
               "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -modcacherw"}
        self.call(["go", "build", "-o", folder / "journey", "."], INSTALL_S, HERE / "go", env)
        self.journey([folder / "journey"], folder)
