"""Builds the wheel, installs it beside the locked dependencies in a fresh environment, and uses it there."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"gates", "tasks", "telemetry", "schemas", "worker"}


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        run(*build, "--wheel-dir", folder, str(ROOT), cwd=work)
        (wheel,) = work.glob("*.whl")
        refuse_strangers(wheel)
        venv.create(work / "env", with_pip=False, symlinks=True)
        python = work / "env" / "bin" / "python"
        # The dependencies are the locked ones of this environment; only slotgen comes from the wheel.
        (site,) = (work / "env" / "lib").glob("python3*/site-packages")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
        dependencies = next(Path(each) for each in sys.path if each.endswith("site-packages"))
        (site / "dependencies.pth").write_text(f"{dependencies}\n")
        spec = next((ROOT / "worker" / "dev" / "demo" / "job_specs").glob("*.json"))
        said = run(str(python), "-P", "-m", "worker.cli", "validate", "--json", str(spec), cwd=work)
        assert json.loads(said)["valid"], said
        where = run(str(python), "-P", "-c", "import worker; print(worker.__file__)", cwd=work)
        assert where.startswith(str(work)), where
    print(f"the wheel {wheel.name} works in an environment of its own")


def refuse_strangers(wheel: Path) -> None:
    """Fail on any file that is neither ours nor data that we need."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == PACKAGES, tops
    needed = [
        "schemas/job.v1.json",
        "schemas/outputs/quiz.v1.json",
        "tasks/executor.v1.json",
        "tasks/prompts/revision.v1.md",
    ]
    missing = [each for each in needed if each not in names]
    assert not missing, missing
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names), names


if __name__ == "__main__":
    main()
