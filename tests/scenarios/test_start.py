"""What the daemon says when it can't or mustn't start."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from tests.environment import REPOSITORY, clean


def serve(folder: Path, text: str = "", *, port: int = 0) -> subprocess.CompletedProcess[str]:
    file = folder / "pypicache.yaml"
    file.write_text(f"cache: {{dir: {folder / 'cache'}}}\nserver: {{listen: '127.0.0.1:{port}'}}\n{text}")
    file.chmod(0o600)
    command = [sys.executable, "-m", "pypicache", "serve", "-c", str(file)]
    return subprocess.run(
        command, cwd=REPOSITORY, env=clean(folder), capture_output=True, text=True, timeout=30, check=False
    )


def test_a_port_that_is_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = serve(tmp_path, port=port)
    assert done.returncode == 1
    assert f"can't listen on 127.0.0.1:{port}: " in done.stderr
    assert "Traceback" not in done.stderr
