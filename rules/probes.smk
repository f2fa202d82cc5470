# Probes of known quirks run once per engine version. QUIRKS.md shows their outcomes.
if WORKFLOW.probes:

    rule probes:
        """Check which known quirks this engine version still has."""
        input:
            ancient(WORKFLOW.probed_weights),
        output:
            update(list(WORKFLOW.probes)),
        log:
            f"{LOGS}/probes.log",
        conda:
            ENGINE_ENVIRONMENT
        threads: 1
        resources:
            machine=MACHINE_PARTS,
        shell:
            "exec python -m scripts.probe 2> {log}"
