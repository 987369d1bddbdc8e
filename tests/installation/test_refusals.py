"""What stands in the way of an installation is one clear sentence, and nothing has changed."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from hospital.site_before import Site


def refused(site: Site, *arguments: str, bundle: str = "vigil") -> str:
    """The sentence; and the site is as it was."""
    before, files = site.configuration(), site.files()
    done = site.install(*arguments, "--yes", bundle=bundle, check=False)
    assert done.returncode == 1, done.stdout
    said = done.stderr.strip()
    assert said.startswith("install: ")
    assert "\n" not in said
    assert site.configuration() == before
    assert site.files() == files
    return said


def test_an_orthanc_that_is_too_old(bare: Site) -> None:
    old = bare.root.path("/usr/local/sbin/Orthanc")
    old.parent.mkdir(parents=True, exist_ok=True)
    old.write_text('#!/bin/sh\necho "Orthanc 1.9.7"\n')
    old.chmod(0o755)
    assert "Orthanc 1.9.7 (/usr/local/sbin/Orthanc) is older than 1.10.1" in refused(
        bare, "--orthanc", "/usr/local/sbin/Orthanc"
    )


def test_no_python_plugin(bare: Site) -> None:
    bare.root.path("/usr/share/orthanc/plugins/libOrthancPython.so").unlink()
    assert "Python plugin (libOrthancPython.so) was not found. Install it (Debian: orthanc-python)" in refused(bare)


def test_a_configuration_that_is_no_json(bare: Site) -> None:
    bare.root.path("/etc/orthanc/orthanc.json").write_text('{ "Name" : }')
    said = refused(bare)
    assert "/etc/orthanc/orthanc.json is no JSON at line 1" in said


def test_a_key_that_two_files_define(bare: Site) -> None:
    bare.root.path("/etc/orthanc/more.json").write_text('{ "PythonScript" : "/etc/orthanc/other.py" }')
    assert "PythonScript is defined in /etc/orthanc/more.json and in /etc/orthanc/python.json" in refused(bare)


def test_a_port_that_another_program_holds(bare: Site) -> None:
    with socket.create_server(("127.0.0.1", 8042)):
        said = refused(bare)
    assert "Port 8042 (HttpPort of /etc/orthanc) is held by another program" in said


@pytest.mark.parametrize("told", [False, True], ids=["as it is", "with a key that this plugin ignores"])
def test_a_site_script_that_would_lock_orthanc_up(bare: Site, told: bool) -> None:
    """On this plugin it cannot be told to allow threads."""
    bare.root.path("/etc/orthanc/sample.py").write_text("import orthanc as o\no.RegisterOnStoredInstanceCallback(print)\n")
    if told:
        bare.root.path("/etc/orthanc/threads.json").write_text('{ "Python" : { "AllowThreads" : true } }')
    assert "RegisterOnStoredInstanceCallback; beside threads that store results it would stop Orthanc for good" in refused(bare)


def test_a_full_disk(bare: Site) -> None:
    bare.root.path("/opt/vigil").mkdir()
    mounted(bare, "mount -t tmpfs -o size=60m tmpfs /opt/vigil")
    said = refused(bare)
    assert "/opt/vigil has " in said
    assert "Make room, or install elsewhere: --prefix FOLDER." in said


def test_a_prefix_that_is_read_only(bare: Site) -> None:
    bare.root.path("/opt/vigil").mkdir()
    mounted(bare, "mount -t tmpfs -o ro tmpfs /opt/vigil")
    assert "/opt/vigil cannot be written. Run this as root, or install elsewhere" in refused(bare)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("damaged", "The bundle is damaged: plugin/vigil_plugin.py is not what it was"),
        ("missing", "The bundle is not whole: plugin/vigil_plugin.py is missing"),
        ("one more", "The bundle holds wheels/pydicom-3.0.2-0-py3-none-any.whl, which was not in it when it was made"),
        ("no library", "The bundle lacks the library pydicom"),
        ("another key", "The signature of the bundle is not one of /media/broken/other.pem"),
        ("another Python", "This bundle was made for Python 3.12; this Orthanc embeds Python 3.11"),
    ],
)
def test_a_bundle_that_is_not_whole(
    bare: Site,
    tmp_path: Path,
    bundles: object,
    fault: str,
    said: str,
) -> None:
    from bundling.archive import write_sums

    broken = tmp_path / "broken"
    subprocess.run(["cp", "-al", str(bundles("bookworm")["vigil"]), str(broken)], check=True)  # type: ignore[operator]
    door = broken / "plugin" / "vigil_plugin.py"
    arguments: tuple[str, ...] = ()
    if fault == "damaged":
        text = door.read_text()
        door.unlink()
        door.write_text(text + "#")
    elif fault == "missing":
        door.unlink()
    elif fault == "one more":
        (broken / "wheels" / "pydicom-3.0.2-0-py3-none-any.whl").touch()
    elif fault == "no library":
        next((broken / "wheels").glob("pydicom-*")).unlink()
        (broken / "SHA256SUMS").unlink()
        write_sums(broken)
    elif fault == "another key":
        subprocess.run(
            ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(tmp_path / "k")], check=True, capture_output=True
        )
        subprocess.run(
            ["openssl", "pkey", "-in", str(tmp_path / "k"), "-pubout", "-out", str(broken / "other.pem")], check=True
        )
        arguments = ("--public-key", "/media/broken/other.pem")
    else:
        lock = broken / "requirements" / "runtime-py3.11.txt"
        lock.rename(lock.with_name("runtime-py3.12.txt"))
        (broken / "SHA256SUMS").unlink()
        write_sums(broken)
    with_broken = Site("bookworm", tmp_path / "site", {"broken": broken})
    bare.close()
    try:
        with_broken.open()
        assert said in refused(with_broken, *arguments, bundle="broken")
    finally:
        with_broken.close()


def test_a_library_of_the_host_that_is_missing(bare: Site) -> None:
    """The release is tried inside this very Orthanc before anything of the site is touched."""
    for path in bare.root.path("/usr/lib/x86_64-linux-gnu").glob("libstdc++.so.6*"):
        path.rename(path.with_name("gone-" + path.name))
    done = bare.install("--yes", check=False)
    assert done.returncode == 1
    assert "libstdc++.so.6" in done.stderr or "Orthanc" in done.stderr


def test_killed_at_any_moment_orthanc_starts_and_the_same_command_finishes(bare: Site) -> None:
    before = bare.configuration()
    for seconds in (1.0, 4.0, 12.0):
        bare.root.run(
            ["timeout", "-s", "KILL", str(seconds), "/media/vigil/install", "--yes", "--user", "orthanc"], check=False
        )
        bare.start()
        assert bare.get("/site/hello")["site"] == "runs"
        bare.stop()
    bare.install("--yes")
    bare.start()
    assert bare.health() is not None
    # Half a release: Orthanc goes on, with the site's own script.
    shutil.rmtree(bare.root.path("/opt/vigil/releases/0.1.0/plugin"))
    bare.restart()
    assert bare.get("/site/hello")["site"] == "runs"
    assert "its release cannot be started" in bare.health()["missing"][0]
    # No release at all, and no prefix.
    shutil.rmtree(bare.root.path("/opt/vigil/releases"))
    bare.restart()
    assert bare.get("/site/hello")["site"] == "runs"
    bare.stop()
    bare.install("uninstall", "--yes")
    assert bare.configuration() == before


def test_an_update_whose_version_does_not_take_the_settings(bare: Site) -> None:
    bare.install("--yes")
    settings = bare.root.path("/etc/orthanc/vigil.json")
    settings.write_text(settings.read_text().replace('"MaxStudyAgeHours" : 24', '"MaxStudyAgeHour" : 24'))
    said = refused(bare, bundle="vigil-next")
    assert "Vigil 0.1.1 would not start with the settings in /etc/orthanc" in said
    assert "MaxStudyAgeHour" in said


def test_without_a_python_program_orthanc_itself_runs_the_installer(bare: Site) -> None:
    for path in bare.root.path("/usr/bin").glob("python3*"):
        path.unlink()
    before = bare.configuration()
    assert "Nothing was changed." in bare.install("--check").stdout
    bare.install("--yes")
    assert bare.configuration() != before
    said = bare.root.run(["/opt/vigil/current/bin/vigil", "config", "check"], check=False)
    assert said.stdout.startswith("The settings are valid."), said.stdout + said.stderr
    assert bare.root.run(["/opt/vigil/current/bin/vigil", "status"], check=False).returncode == 1
    bare.install("uninstall", "--yes")
    assert bare.configuration() == before


def test_a_configuration_of_one_file_that_the_site_changes_afterwards(bare: Site) -> None:
    """What is ours is taken out, and what the site changed stays."""
    single = bare.root.path("/srv/orthanc.json")
    single.write_text(
        '{\n  // ours\n  "Name" : "Site",\n  "StorageDirectory" : "/var/lib/orthanc/one",\n'
        '  "Plugins" : ["/usr/share/orthanc/plugins"]\n}\n'
    )
    original = single.read_text()
    bare.install("--yes", "--config", "/srv/orthanc.json")
    changed = single.read_text()
    assert '"PythonScript" : "/srv/vigil_door.py"' in changed
    assert '"Vigil" : {' in changed
    single.write_text(changed.replace('"Site"', '"Other"').replace('"MaxStudyAgeHours" : 24', '"MaxStudyAgeHours" : 12'))
    bare.install("uninstall", "--yes")
    assert single.read_text() == original.replace('"Site"', '"Other"')
    # What the site had written into the section comes back with it.
    bare.install("--yes", "--config", "/srv/orthanc.json")
    assert '"MaxStudyAgeHours" : 12' in single.read_text()


def mounted(site: Site, command: str) -> None:
    site.root.run(["sh", "-euc", command])
