# Fidelity: next-token distributions against those of a reference. One rule per configuration; only
# the missing cells are made. A configuration can be a reference and be compared itself.
for one in WORKFLOW.fidelities:

    rule:
        name:
            f"fidelity_{one.rule_name}"
        input:
            ancient([str(one.shard.weights.path)] if one.shard.weights.fetchable else []),
            ancient(WORKFLOW.fidelity_inputs(one)),
        output:
            update([cell.file for cell in one.cells]),
        log:
            f"{LOGS}/fidelity/{one.rule_name}.log",
        priority: 5
        conda:
            ENGINE_ENVIRONMENT
        threads: 1
        resources:
            **WORKFLOW.fidelity_cluster[one.name],
            machine=MACHINE_PARTS,
        params:
            model=one.shard.model.key,
            mode=one.shard.mode.name,
        shell:
            "exec python -m scripts.fidelity --model {params.model} --mode {params.mode}"
            " --log {log}"
