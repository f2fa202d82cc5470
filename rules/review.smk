# If judges are among the scorers, one job asks them about all answers. Reviews use the stored
# verdicts.
if WORKFLOW.judged_stamp:
    # If the judge takes the whole machine, the job starts a llama-server.
    JUDGE_ENVIRONMENT = ENGINE_ENVIRONMENT if WORKFLOW.judge_parts == MACHINE_PARTS else ENVIRONMENT

    rule judge:
        """Judge all answers that have no verdict yet, with each judge of `judge.scorers`."""
        input:
            list(WORKFLOW.shard_targets.values()),
            ancient(WORKFLOW.judge_weights),
        output:
            WORKFLOW.judged_stamp,
        log:
            f"{LOGS}/judge/judge.log",
        conda:
            JUDGE_ENVIRONMENT
        threads: 1
        resources:
            machine=WORKFLOW.judge_parts,
        shell:
            "exec python -m scripts.judge run --stamp {output} 2> {log}"


# One review per shard. One cell of each shard is enough as input: it makes the review depend on the
# shard's job.
for review in WORKFLOW.reviews.values():

    rule:
        name:
            f"review_{review.shard.rule_name}"
        input:
            [
                WORKFLOW.shard_targets[s.name]
                for s in (review.shard, review.base)
                if s is not None and s.runnable
            ],
            ancient(
                []
                if WORKFLOW.is_elsewhere(review.shard) or not WORKFLOW.judges
                else WORKFLOW.judged_stamp
            ),
        output:
            review.file,
        log:
            f"{LOGS}/review/{review.shard.name}.log",
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            machine=1,
        params:
            hardware=review.shard.hardware.name,
            engine=review.shard.engine,
            model=review.shard.model.key,
            mode=review.shard.mode.name,
            elsewhere="--elsewhere" if WORKFLOW.is_elsewhere(review.shard) else "",
        shell:
            "exec python -m scripts.review --hardware {params.hardware} --engine {params.engine}"
            " --model {params.model} --mode {params.mode} {params.elsewhere} --output {output} 2> {log}"
