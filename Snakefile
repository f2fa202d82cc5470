# Benchmark results as derived files: registry x prompts x decoding modes -> cells -> reviews ->
# tables -> RESULTS.md.
# The rules connect the scripts, the scripts do the work, scripts/lib has the logic.
# `snakemake --list-target-rules` lists the targets.


# common.smk comes first: it reads the configuration as YAML 1.2 and reports mistakes, before
# Snakemake reads it as YAML 1.1.
include: "rules/common.smk"


configfile: "config/config.yaml"


include: "rules/weights.smk"
include: "rules/infer.smk"
include: "rules/fidelity.smk"
include: "rules/review.smk"
include: "rules/tables.smk"
include: "rules/probes.smk"
include: "rules/docs.smk"
include: "rules/manage.smk"


rule results:
    """Run every missing cell of the configuration, then make reviews, tables and pages."""
    default_target: True
    input:
        # Each step is named here: Snakemake does not look for missing inputs of a file that exists.
        WORKFLOW.derived,
        WORKFLOW.measured_targets,
