rule render:
    """Make the pages: RESULTS.md, MODELS.md, QUIRKS.md, report.html and the pictures."""
    input:
        list(WORKFLOW.reviews),
        list(WORKFLOW.probes),
        WORKFLOW.stamp,
        REGISTRY.path,
        code=code_of("scripts/render.py", *TABLE_PACKAGES, "pages"),
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
