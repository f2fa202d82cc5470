rule render:
    """Reviews, registry and probes -> the pages, each by a template that can be edited."""
    input:
        list(WORKFLOW.reviews),
        list(WORKFLOW.probes),
        WORKFLOW.stamp,
        REGISTRY.path,
        code=["scripts/lib/tables.py", "scripts/lib/render.py", "scripts/lib/model_pages.py"],
        templates=list(PAGES.values()),
    output:
        list(PAGES),
    log:
        f"{LOGS}/render.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        machine=1,
    shell:
        "exec python -m scripts.render {output} 2> {log}"
