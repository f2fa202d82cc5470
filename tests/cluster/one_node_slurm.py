"""A real Slurm of one node runs a small `results` through profiles/slurm.

Not part of `make test`: it needs root, installs slurmctld, slurmd and munge from Debian (without
systemd), and takes about two minutes:
    python -m tests.cluster.one_node_slurm
Daemons, their state and the project live in a temporary folder and end with the script.
/etc/slurm/slurm.conf, which is where
a job's own srun looks, points there for so long; a machine that has one already is left alone.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.factories.checkout import ROOT
from tests.factories.tiny_project import CELLS, Project, make_project

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "slurm-wlm-basic-plugins", "munge")
CONFIGURATION = """\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort=36817
SlurmdPort=36818
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=300
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=bench Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
PROFILE = "threads: 2\npartition: bench\n"


def install() -> None:
    """Debian's packages and the executor's plugin, where they are not there yet."""
    if not all(shutil.which(tool) for tool in ("slurmctld", "slurmd", "munged", "sbatch")):
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        argv = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def plugin(folder: Path) -> Path:
    """The executor's plugin by its hash-pinned lock, beside the environment and not in it."""
    target = folder / "plugin"
    argv = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-qq",
        "--disable-pip-version-check",
        "--no-deps",
        "--require-hashes",
    ]
    subprocess.run(
        [*argv, "--target", str(target), "-r", str(ROOT / "envs/slurm.lock")], check=True
    )
    return target


class Cluster:
    """munged, slurmctld and slurmd in a folder; the node is this machine."""

    def __init__(self, folder: Path):
        self.folder, self.daemons = folder, list[subprocess.Popen[bytes]]()
        for name in ("state", "spool"):
            (folder / name).mkdir()
        key = folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        host = socket.gethostname().partition(".")[0]
        text = CONFIGURATION.format(
            folder=folder, host=host, cpus=os.cpu_count(), memory=memory * 9 // 10
        )
        self.file = Path("/etc/slurm/slurm.conf")
        self.file.parent.mkdir(exist_ok=True)
        with self.file.open("x") as stream:
            stream.write(text)
        self.environment = {name: text for name, text in os.environ.items() if name != "SLURM_CONF"}

    def _start(self, *argv: str) -> None:
        log = (self.folder / f"{Path(argv[0]).name}.out").open("wb")
        self.daemons.append(
            subprocess.Popen(argv, env=self.environment, stdout=log, stderr=subprocess.STDOUT)
        )

    def __enter__(self) -> Cluster:
        try:
            self._start_all()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start_all(self) -> None:
        options = [
            f"--{name}-file={self.folder}/munge.{end}"
            for name, end in (("key", "key"), ("pid", "pid"), ("seed", "seed"))
        ]
        log = f"--log-file={self.folder}/munge.log"
        self._start(
            "munged",
            "--foreground",
            "--force",
            f"--socket={self.folder}/munge.socket",
            *options[:1],
            options[1],
            log,
            options[2],
        )
        self._wait("munged", (self.folder / "munge.socket").exists)
        self._start("slurmctld", "-D", "-c")
        self._start("slurmd", "-D", "-c")
        self._wait("an idle node", lambda: "idle" in self.ask("sinfo", "-h", "-o", "%T"))

    def __exit__(self, *_: object) -> None:
        self.file.unlink()
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in reversed(self.daemons):
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()

    def _wait(self, what: str, holds: object) -> None:
        deadline = time.monotonic() + 60
        while not holds():  # type: ignore[operator]
            if time.monotonic() > deadline:
                logs = "\n".join(
                    f"--- {f.name}\n{f.read_text(errors='replace')[-2000:]}"
                    for f in self.folder.glob("*.log")
                )
                sys.exit(f"error: waited in vain for {what}\n{self.ask('sinfo')}\n{logs}")
            time.sleep(0.2)

    def ask(self, *argv: str) -> str:
        shown = subprocess.run(
            argv, env=self.environment, capture_output=True, text=True, check=False
        )
        return shown.stdout + shown.stderr


def submit(project: Project, plugins: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = project.environment(PYTHONPATH=str(plugins))
    argv = [
        "snakemake",
        "--profile",
        "profiles/slurm",
        "--latency-wait",
        "10",
        "--seconds-between-status-checks",
        "2",
        "--slurm-init-seconds-before-status-checks",
        "2",
        *arguments,
    ]
    return subprocess.run(
        argv,
        cwd=project.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def check(cluster: Cluster, project: Project, plugins: Path) -> None:
    """The cluster makes everything that was asked for, once; each shard has its own node."""
    local = submit(project, plugins, "results")
    assert local.returncode == 1 and "was made from this machine" in local.stderr, local.stderr
    (project.folder / "config/hardware/node.yaml").write_text(PROFILE)
    config = ("--config", "hardware=node")
    begin = time.monotonic()
    done = submit(project, plugins, "results", *config)
    wall = time.monotonic() - begin
    jobs = cluster.ask("scontrol", "show", "job", "-o").strip().splitlines()
    shards = [job for job in jobs if "rule_infer_" in job]
    if done.returncode != 0:
        logs = (project.folder / ".snakemake/slurm_logs").rglob("*.log")
        texts = "\n".join(
            f"--- {log.parent.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs
        )
        sys.exit(f"error: exit code {done.returncode}\n{done.stderr[-2000:]}\n{texts}")
    found = [json.loads(text) for text in project.cells().values()]
    assert len(found) == CELLS and {cell["status"] for cell in found} == {"ok"}, {
        cell["error"] for cell in found
    }
    assert {cell["cell"]["hardware"] for cell in found} == {"node"}
    assert all("JobState=COMPLETED" in job for job in jobs), jobs
    assert len(shards) == 4 and all(
        "OverSubscribe=NO" in job and "Partition=bench" in job for job in shards
    )
    for job in shards:
        name = re.search(r"Comment=(\S+)", job)
        asked = re.findall(r"(?:TimeLimit|NumCPUs|MinMemoryNode)=\S+", job)
        print(f"  {name[1] if name else '?'}: {' '.join(asked)}")
    assert "COMPLETED" in str(jobs) and "not measured yet" not in project.report
    again = submit(project, plugins, "results", *config)
    assert "Nothing to be done" in again.stderr, again.stderr
    print(
        f"{CELLS} cells in {len(shards)} exclusive jobs of {len(jobs)}, wall {wall:.0f} s; "
        "a second run does nothing"
    )


def main() -> int:
    argparse.ArgumentParser(
        prog="python -m tests.cluster.one_node_slurm", description=__doc__
    ).parse_args()
    if os.geteuid() != 0:
        sys.exit("error: needs root, for Debian's packages and the daemons")
    if Path("/etc/slurm/slurm.conf").exists():
        sys.exit(
            "error: /etc/slurm/slurm.conf exists: this machine has its own Slurm; it is left alone"
        )
    install()
    with tempfile.TemporaryDirectory(prefix="one-node-slurm-") as name:
        folder = Path(name)
        plugins = plugin(folder)
        with Cluster(folder) as cluster:
            version = cluster.ask("slurmd", "-V").strip()
            print(f"{version}, {cluster.ask('sinfo', '-h', '-o', '%n %c CPUs %m MB %T').strip()}")
            check(cluster, make_project(folder / "project"), plugins)
    print("one-node Slurm: passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
