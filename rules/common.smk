# The plan is made once, when the Snakefile is read. All other rules files use WORKFLOW.
import os
import signal
import sys
from pathlib import Path

from scripts import end_at_interrupt

# Before the imports, which take time.
end_at_interrupt()

from scripts.lib.base.errors import print_anything
from scripts.lib.base.layout import LOGS, RUNS, TEMPLATES
from scripts.lib.base.process_lifetime import STARTER_VARIABLE
from scripts.lib.base.progress import without_monitor
from scripts.lib.base.results_tree import sweep
from scripts.lib.execution.run_record import RunEnd, current_run_id, summarise, summarise_failed
from scripts.lib.fidelity.tree import drop_failed_cells
from scripts.lib.machine.process import alone_in_checkout, stop_gently
from scripts.lib.planning.disk import SO_FAR_VARIABLE
from scripts.lib.results.states import drop_failed
from scripts.lib.settings.run_config import merged
from scripts.lib.workflow.announce import announce
from scripts.lib.workflow.damage import check_complete, look_again
from scripts.lib.workflow.dry_run import DryRun
from scripts.lib.workflow.invocation import read_invocation
from scripts.lib.workflow.run_log import RunLog, attach, plan_of_run
from scripts.lib.workflow.targets import (
    MACHINE_PARTS,
    SHIPPED,
    SO_FAR,
    TABLE_PACKAGES,
    check_checkout,
    check_for_cluster,
    code_of,
    configuration_layers,
    date_back,
    for_targets,
    infer_rule,
    load_workflow,
    or_exit,
    take_up_unfinished,
)

print_anything()
without_monitor()
or_exit(lambda: check_checkout(Path.cwd()))
INVOCATION = read_invocation(sys.argv[1:])
if INVOCATION.is_job:
    # Snakemake does not call `onstart` in the process that runs a single job on a cluster node.
    signal.signal(signal.SIGINT, signal.default_int_handler)
if INVOCATION.runs:
    # Before anything else: the unfinished files of another run must be neither checked nor deleted.
    or_exit(alone_in_checkout)
    sweep()
if SO_FAR in INVOCATION.targets:
    os.environ[SO_FAR_VARIABLE] = "1"
GIVEN = workflow.config_settings
LAYERS = or_exit(lambda: configuration_layers(INVOCATION, GIVEN.configfiles, GIVEN.config))
WORKFLOW = or_exit(lambda: load_workflow(for_targets(merged(LAYERS), INVOCATION), LAYERS))

# Before the search for missing cells, so that dropped cells are run like all others.
FAILED = ()
if "retry_failed" in INVOCATION.targets:
    FAILED = or_exit(lambda: drop_failed(WORKFLOW.active, really=INVOCATION.runs))
    FAILED += or_exit(lambda: drop_failed_cells(WORKFLOW.fidelity, really=INVOCATION.runs))
    done = "dropped" if INVOCATION.runs else "would drop"
    print(f"retry_failed: {done} {len(FAILED)} failed or damaged cells", file=sys.stderr)

REGISTRY = WORKFLOW.planner.registry
ENVIRONMENT, ENGINE_ENVIRONMENT = "../envs/bench.yaml", "../envs/infer.yaml"
RUN_ID = current_run_id()
# For jobs and post-deploy scripts: Python would prefer packages in ~/.local to those of its conda
# environment.
os.environ.update(PYTHONNOUSERSITE="1")
# Jobs die with the process that starts them.
os.environ[STARTER_VARIABLE] = str(os.getpid())

announce(WORKFLOW, dry_run=INVOCATION.dry_run)
RUN_LOG = RunLog(RUN_ID, {infer_rule(shard): shard.name for shard in WORKFLOW.shards})
if INVOCATION.dry_run:
    attach(workflow.logger_manager.get_log_handlers(), DryRun(WORKFLOW, FAILED))
elif INVOCATION.runs:
    attach(workflow.logger_manager.get_log_handlers(), RUN_LOG)
LOOKED = frozenset()
if INVOCATION.runs:
    or_exit(lambda: take_up_unfinished(WORKFLOW))
    LOOKED = or_exit(lambda: look_again(WORKFLOW))
    date_back(WORKFLOW)

# Set here and not in the profile: --resources on the command line would override the profile.
workflow.global_resources["machine"] = MACHINE_PARTS


# On a cluster every job has a machine of its own.
resource_scopes:
    machine="local",


onstart:
    stop_gently(workflow.local_exec)
    RULES = {job.rule.name for job in workflow.dag.needrun_jobs()}
    RUN_PLAN = plan_of_run(WORKFLOW, RUN_ID, RULES, workflow.local_exec)
    RUN_PLAN.write()
    RUN_LOG.begin(RUN_PLAN)
    # Snakemake's rate limiter for job submissions, which only clusters need, wakes the scheduler
    # once a second for every finished job: after a hundred jobs it takes a third of a core beside
    # the timed shard.
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None
    else:
        or_exit(lambda: check_for_cluster(WORKFLOW))


onsuccess:
    summarise(RUNS / RUN_ID, RunEnd.FINISHED)
    # Everything was made without unreadable and damaged records. If there are any, the exit code
    # is 1.
    or_exit(lambda: check_complete(WORKFLOW, LOOKED))


onerror:
    summarise_failed(RUNS / RUN_ID)
