# Probes of known quirks: run once per engine version, their outcomes are shown in QUIRKS.md.
if WORKFLOW.probes:

    rule probes:
        """Ask this engine version which known quirks still hold."""
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
