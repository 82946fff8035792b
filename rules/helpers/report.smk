"""What metrics and the comparison are told of the study."""


def previous_content():
    """Digest of the previous study's comparison, where the report shows what changed since."""
    return checked(previous.content, config["report"]["previous"])


def semantic_option(wildcards, input):
    """Command-line option for the semantic scores, where the study asks for them."""
    return f"--semantic {input.semantic}" if PLAN.encoder else ""
