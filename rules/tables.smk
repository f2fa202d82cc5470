rule tabulate:
    """Reviews -> tidy tables and the predecessor's summary.csv; the stamp's name is the plan's digest."""
    input:
        list(WORKFLOW.reviews),
        code=expand("scripts/lib/{module}.py", module=["statistics", "tables", "ranking", "summary", "tidy"]),
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
