# One review per shard. A single cell as input is enough: it ties the review to the shard's job.
for review, shard in WORKFLOW.reviews.items():

    rule:
        name:
            f"review_{shard.hardware.name}_{shard.model.key}_{shard.mode.name}"
        input:
            list(shard.cell_files[:1]) if shard.runnable else [],
        output:
            review,
        log:
            f"{LOGS}/review/{shard.name}.log",
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            machine=1,
        params:
            hardware=shard.hardware.name,
            model=shard.model.key,
            mode=shard.mode.name,
        shell:
            "exec python -m scripts.review --hardware {params.hardware} --model {params.model} --mode {params.mode} 2> {log}"
