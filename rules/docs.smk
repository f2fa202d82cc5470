# An edit of these makes the pages again.
PAGE_MODULES = [
    *(
        "statistics",
        "tables",
        "ranking",
        "markdown",
        "profile_part",
        "model_pages",
        "pages",
        "report",
        "pictures",
        "drawing",
    ),
    *("results_page", "results_quality", "results_speed", "results_evidence", "results_judge"),
]


rule render:
    """Reviews, registry and probes -> the pages, by templates that can be edited, the report and the pictures."""
    input:
        list(WORKFLOW.reviews),
        list(WORKFLOW.probes),
        WORKFLOW.stamp,
        REGISTRY.path,
        code=expand("scripts/lib/{module}.py", module=PAGE_MODULES),
        templates=sorted(str(file) for file in Path(TEMPLATES).rglob("*") if file.is_file()),
    output:
        WORKFLOW.pages,
    log:
        f"{LOGS}/render.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        machine=1,
    shell:
        "exec python -m scripts.render {output} 2> {log}"
