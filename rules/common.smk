# The plan, made once when the Snakefile is read; every other file wires from WORKFLOW.
import os
import sys
from pathlib import Path

from scripts.lib.announce import announce
from scripts.lib.cell_state import drop_failed
from scripts.lib.machine import alone_in_checkout
from scripts.lib.run_record import RUNS, current_run_id, summarise, summarise_failed
from scripts.lib.workflow import (
    MACHINE_PARTS,
    SO_FAR_VARIABLE,
    TEMPLATES,
    asks_for_dry_run,
    check_for_cluster,
    for_targets,
    load_workflow,
    or_exit,
    take_up_unfinished,
)

if "results_so_far" in sys.argv:
    os.environ[SO_FAR_VARIABLE] = "1"
WORKFLOW = or_exit(lambda: load_workflow(for_targets(config, sys.argv)))

# Before anything looks for missing cells: what is dropped here is then run like any other of them.
if "retry_failed" in sys.argv:
    FAILED = or_exit(lambda: drop_failed(WORKFLOW.active, really=not asks_for_dry_run(sys.argv)))
    verb = "would drop" if asks_for_dry_run(sys.argv) else "dropped"
    print(f"retry_failed: {verb} {len(FAILED)} failed cells", file=sys.stderr)

REGISTRY = WORKFLOW.planner.registry
LOGS = "benchmarks/results/logs"
ENVIRONMENT, ENGINE_ENVIRONMENT = "../envs/bench.yaml", "../envs/infer.yaml"
RUN_ID = current_run_id()

announce(WORKFLOW, dry_run=asks_for_dry_run(sys.argv))
if not asks_for_dry_run(sys.argv):
    or_exit(lambda: take_up_unfinished(WORKFLOW))

# Set here and not in the profile: a --resources on the command line would replace a profile's.
workflow.global_resources["machine"] = MACHINE_PARTS


# On a cluster every job has a machine of its own.
resource_scopes:
    machine="local",


onstart:
    or_exit(lambda: alone_in_checkout(Path(".snakemake/run.lock")))
    # The limiter of submissions wakes the scheduler once a second for every job that is done, beside the timed shard: a third
    # of a core after a hundred jobs. It is for cluster queues.
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None
    else:
        or_exit(lambda: check_for_cluster(WORKFLOW))


onsuccess:
    summarise(RUNS / RUN_ID, "finished")


onerror:
    summarise_failed(RUNS / RUN_ID)
