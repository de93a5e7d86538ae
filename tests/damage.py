"""How files come to harm."""

import os
from pathlib import Path


def damage_file(path: Path, damage: str) -> None:
    """Makes a file ``shorter``, ``longer`` or ``gone``, or gives it ``another byte`` as a failing disk does."""
    content, status = path.read_bytes(), path.stat()
    if damage == "gone":
        path.unlink()
        return
    if damage == "another byte":
        middle = len(content) // 2
        content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    path.write_bytes({"shorter": content[:-1], "longer": content + b"0"}.get(damage, content))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
