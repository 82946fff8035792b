"""What metrics and the report are told of the study."""


def semantic_option(wildcards, input):
    """Command-line option for the semantic scores, where the study asks for them."""
    return f"--semantic {input.semantic}" if ENCODER else ""


def study_settings():
    """What the comparison needs to know of the study: order, labels, parents, differences."""
    techniques = [
        {
            key: getattr(technique, key)
            for key in (
                "name",
                "label",
                "parent",
                "lossless",
                "difference",
                "settings",
                "facets",
            )
        }
        for technique in TECHNIQUES.values()
    ]
    return as_text(
        {
            "title": config["title"],
            "baseline": "baseline",
            "prompt": config["generation"]["prompt"],
            "techniques": techniques,
            "examples": config["report"]["examples"],
            "comparison": config["comparison"],
            "sweeps": SWEEPS,
            "ranking": config["ranking"],
            "scenarios": config["scenarios"],
            "scenario_order": list(config["scenarios"]),
            "references": REFERENCES,
            "configuration": record.record(config, list(TECHNIQUES.values())),
            "repeats": config["measurement"]["repeats"],
            "order_seed": config["measurement"]["order_seed"],
            "on_gpus": ON_GPUS,
        }
    )
