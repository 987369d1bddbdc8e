"""Each in a process of its own: entering a network namespace cannot be taken back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(SCRIPTS), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_namespace_has_loopback_and_nothing_else() -> None:
    said = run("""
from hospital.network import enter_namespace, in_own_network
import socket
assert not in_own_network()
enter_namespace()
assert in_own_network()
print(*sorted(name for _, name in socket.if_nameindex() if name != "lo"))
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname(), timeout=5).close()
""")
    assert not [name for name in said.split() if Path("/sys/class/net", name, "device").exists()]


def test_a_server_in_the_namespace_is_reached_from_outside_only_through_the_relay() -> None:
    said = run("""
import os, socket
from hospital.network import Relay, enter_namespace, free_port
relay = Relay()
ready, told = os.pipe()
if os.fork() == 0:
    enter_namespace()
    server = socket.create_server(("127.0.0.1", free_port()))
    relay.open(server.getsockname()[1])
    os.write(told, str(server.getsockname()[1]).encode())
    connection, _ = server.accept()
    connection.sendall(connection.recv(100).upper())
    connection.recv(1)  # until the other side closes: the relay ends with this process
    os._exit(0)
inner_port = int(os.read(ready, 10))
with socket.create_connection(("127.0.0.1", relay.port), timeout=5) as browser:
    browser.sendall(b"question")
    print(browser.recv(100).decode())
try:
    socket.create_connection(("127.0.0.1", inner_port), timeout=5)
except ConnectionRefusedError:
    print("refused")
""")
    assert said.split() == ["QUESTION", "refused"]


def test_a_command_is_run_in_a_network_of_its_own() -> None:
    here = Path("/proc/self/ns/net").readlink()
    command = [sys.executable, str(SCRIPTS / "hospital" / "network.py"), "readlink", "/proc/self/ns/net"]
    environment = {"PATH": "/usr/bin:/bin"}
    there = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=True
    ).stdout.strip()
    assert there != str(here)
    assert there.startswith("net:[")


def test_no_port_is_given_twice_though_nobody_listens_on_it_yet() -> None:
    assert run("""
from hospital.network import free_port
print(len({free_port() for _ in range(2000)}))
""") == "2000"
