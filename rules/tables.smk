rule tabulate:
    """Make the tidy tables and the predecessor's summary.csv from the reviews."""
    input:
        list(WORKFLOW.reviews),
        list(WORKFLOW.fidelity_targets.values()),
        code=code_of("scripts/tabulate.py", *TABLE_PACKAGES),
    output:
        WORKFLOW.tables,
        stamp=WORKFLOW.stamp,
    log:
        f"{LOGS}/tabulate.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        machine=1,
    shell:
        "exec python -m scripts.tabulate --stamp {output.stamp} 2> {log}"
