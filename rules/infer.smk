# One rule per shard (engine x hardware x model x mode). Its outputs are its cells; only the missing
# ones are run.
for shard in WORKFLOW.shards:

    rule:
        name:
            infer_rule(shard)
        input:
            ancient(
                [
                    str(w.path)
                    for w in (shard.weights, shard.draft)
                    if w is not None and w.fetchable
                ]
            ),
        output:
            update(list(shard.cell_files)),
        log:
            f"{LOGS}/infer/{shard.name}.log",
        priority: 10
        conda:
            ENGINE_ENVIRONMENT
        threads: 1
        resources:
            **WORKFLOW.cluster[shard.name],
            machine=MACHINE_PARTS,
        # As params: Snakemake formats the shell command only when the job runs, after the end of
        # this loop.
        params:
            model=shard.model.key,
            mode=shard.mode.name,
            engine=shard.engine,
        shell:
            "exec python -m scripts.infer --model {params.model} --mode {params.mode}"
            " --engine {params.engine} --log {log}"
