"""Engines that are servers, and their environments."""

from scripts.serving import environments, presets


def engine_environment_file(preset):
    """The file of the environment that has a preset's program."""
    return str(environments.of_engine(preset))


def engine_program(preset):
    """Program and package of a preset."""
    content = checked(presets.read, preset)
    return content.get("executable", ""), content.get("package", "")
