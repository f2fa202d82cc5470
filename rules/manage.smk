# Management of the results tree: what would run and why, orphans, failed cells.
# `python -m scripts.cells` has more options.


rule preview:
    """Count cells by state, predict the hours of the missing ones, and show why cells are stale."""
    log:
        f"{LOGS}/preview.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        machine=1,
    shell:
        "exec python -m scripts.cells preview 2> {log}"


rule orphans:
    """List the files of the results tree that belong to no configuration."""
    log:
        f"{LOGS}/orphans.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        machine=1,
    shell:
        "exec python -m scripts.cells orphans 2> {log}"


rule prune:
    """Delete the files that `orphans` lists."""
    log:
        f"{LOGS}/prune.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        machine=MACHINE_PARTS,
    shell:
        "exec python -m scripts.cells prune --yes 2> {log}"


rule reproduce:
    """Measure a sample of stored cells again (--config sample=20) and compare answers and times."""
    log:
        f"{LOGS}/reproduce.log",
    conda:
        ENGINE_ENVIRONMENT
    threads: 1
    resources:
        machine=MACHINE_PARTS,
    shell:
        "exec python -m scripts.reproduce --log {log}"


rule retry_failed:
    """Delete the cells that failed, timed out or are damaged, then run what is missing."""
    input:
        WORKFLOW.derived,
        WORKFLOW.measured_targets,


rule results_so_far:
    """Make tables and pages from the existing cells. Nothing is run; missing cells are listed."""
    input:
        WORKFLOW.derived,


for target in SHIPPED:

    rule:
        """Run what its own file in config/ asks for (results_threads: config/threads.yaml)."""
        name:
            target
        input:
            WORKFLOW.derived,
            WORKFLOW.measured_targets,


for key in dict.fromkeys(shard.model.key for shard in WORKFLOW.shards):

    rule:
        """Run one model's missing cells and make its reviews. The pages are made by `results`."""
        name:
            f"results_{key}"
        input:
            [WORKFLOW.shard_targets[s.name] for s in WORKFLOW.shards if s.model.key == key],
            [r.file for r in WORKFLOW.reviews.values() if r.shard.model.key == key],
            [
                WORKFLOW.fidelity_targets[one.name]
                for one in WORKFLOW.fidelities
                if one.shard.model.key == key
            ],


for suite in WORKFLOW.suites:

    rule:
        """Run one suite's missing cells for every model. Reviews and pages are made by `results`."""
        name:
            f"results_suite_{suite}"
        input:
            list(WORKFLOW.suite_cells(suite)),
