# Benchmark results as derived files: registry x prompts x decoding modes -> cells -> reviews -> tables -> RESULTS.md.
# Rules wire, scripts/ do, scripts/lib thinks. `snakemake --list-target-rules` names what can be asked for.


# It reads the configuration itself, by YAML 1.2, and names its mistakes: before Snakemake does, by 1.1.
include: "rules/common.smk"


configfile: "config/config.yaml"


include: "rules/weights.smk"
include: "rules/infer.smk"
include: "rules/review.smk"
include: "rules/tables.smk"
include: "rules/probes.smk"
include: "rules/docs.smk"
include: "rules/manage.smk"


rule results:
    """Everything the configuration asks for: every missing cell, the reviews, the tables, RESULTS.md."""
    default_target: True
    input:
        # Each step by name: behind a file that exists Snakemake does not look for missing ones.
        WORKFLOW.derived,
        list(WORKFLOW.shard_targets.values()),
