# The results tree looked after: what would run and why, what nobody asks for, what failed. `python -m scripts.cells` has options.


rule preview:
    """Cells by state (valid, failed, new, stale, orphaned), the hours that the missing ones take, and what made cells stale."""
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
    """List the files of the results tree that no configuration names."""
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
    """Measure a seeded sample of stored cells again, beside them (--config sample=20): equal answers, drift of the times."""
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
    """Drop the cells that failed, ran out of time or are damaged, then run everything that is missing."""
    input:
        WORKFLOW.derived,
        list(WORKFLOW.shard_targets.values()),


rule results_so_far:
    """Tables and pages of the cells that are there; nothing is run, RESULTS.md names what is missing."""
    input:
        WORKFLOW.derived,


for key in dict.fromkeys(shard.model.key for shard in WORKFLOW.shards):

    rule:
        """One model's missing cells and its reviews; nothing else is planned. The pages are made by `results`."""
        name:
            f"results_{key}"
        input:
            [WORKFLOW.shard_targets[s.name] for s in WORKFLOW.shards if s.model.key == key],
            [r.file for r in WORKFLOW.reviews.values() if r.shard.model.key == key],


for suite in WORKFLOW.suites:

    rule:
        """One suite's missing cells, of every model that answers it; no other question is planned, nothing is rendered."""
        name:
            f"results_suite_{suite}"
        input:
            list(WORKFLOW.suite_cells(suite)),
