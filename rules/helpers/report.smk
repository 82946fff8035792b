"""What metrics are told of the study."""


def semantic_option(wildcards, input):
    """Command-line option for the semantic scores, where the study asks for them."""
    return f"--semantic {input.semantic}" if PLAN.encoder else ""
