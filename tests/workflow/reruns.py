"""Changes of a study, and the jobs that they rerun, in the tiny study's terms."""

from collections.abc import Callable, Iterable

import pytest

from tests.workflow.project import Project, jobs, techniques

ALL = techniques()
GRAPH_DRAFTED = ["graph_speculative", "graph_speculative_int8"]
GRAPH = ["graph", "graph_int8", "graph_target", *GRAPH_DRAFTED]
ENGINES = ["transformers_static", "continuous_batch", *GRAPH]
LARGE = ["target_only", "speculative", "prompt_lookup", "graph_target", *GRAPH_DRAFTED]
DATA = {"prepare_dataset", "select_samples"}
MODELS = jobs("prepare_model", ["small", "large"])
REPORT = {"compare", "plot", "render"}
TEXTS = jobs("score_text", ALL)
SCORES = jobs("score", ALL)
GENERATIONS = jobs("generate", ALL)


def one_a_mechanism(cases: Iterable[str], *fast: str) -> list:
    """Return the cases as parameters, slow but for those that stand for one mechanism each."""
    assert set(fast) <= set(cases)
    return [case if case in fast else pytest.param(case, marks=pytest.mark.slow) for case in cases]


def runs(*names: str) -> set[str]:
    """Return what follows when these techniques run again."""
    return jobs("generate", names) | jobs("score_text", names) | jobs("score", names) | REPORT


EVERYTHING = DATA | MODELS | GENERATIONS | TEXTS | SCORES | REPORT


def changed(path: str) -> Callable[[Project], None]:
    """Return a change of a file: of Python one that its syntax tree shows, and that does nothing."""
    return lambda project: project.append(path, "\nCHANGED = True\n" if path.endswith(".py") else "\n# Changed.\n")


def setting(*keys: str, value: object) -> Callable[[Project], None]:
    """Return a change of one key of the study."""

    def change(project: Project) -> None:
        place = project.study
        for key in keys[:-1]:
            place = place.setdefault(key, {})
        place[keys[-1]] = value

    return change


def selection(*names: str) -> Callable[[Project], None]:
    """Return a change of the techniques that the study runs."""
    return setting("select", value=list(names))
