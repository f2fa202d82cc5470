rule render:
    """Tables and plan -> RESULTS.md, by a template that can be edited."""
    input:
        list(WORKFLOW.reviews),
        WORKFLOW.stamp,
        code=["scripts/lib/tables.py", "scripts/lib/render.py"],
        template="docs/templates/RESULTS.md.j2",
    output:
        RESULTS,
    log:
        f"{LOGS}/render.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        machine=1,
    shell:
        "exec python -m scripts.render {input.template} {output} 2> {log}"
