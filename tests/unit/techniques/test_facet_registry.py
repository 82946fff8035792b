"""Facets and methods are found by their folders, those of a plugin among them, and so are their costs."""

import sys
import textwrap

import pytest

from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.hardware import sizes
from scripts.study import sources, techniques
from scripts.techniques import costs, registry

SHAPE = {"layers": 2, "hidden": 128, "heads": 4, "kv_heads": 2, "head_dim": 32, "intermediate": 128,
         "vocabulary": 320, "tied_embeddings": False}  # fmt: skip
FACET = '''
    """A toy facet."""
    from scripts.techniques.facet import Facet
    class Toy(Facet):
        """A number."""
        name, order = "toy", 15
    FACET = Toy()
'''
COST = '''
    """It makes the model narrow."""
    from scripts.hardware.cost import Cost
    class Narrow(Cost):
        """Half as wide."""
        lossless = True
        def architecture(self, value, architecture):
            """Half as wide."""
            return architecture | {"intermediate": architecture["intermediate"] // value}
    COST = Narrow()
'''
METHOD = '''
    """A toy method."""
    from scripts.techniques.methods import Method
    class Ternary(Method):
        """Two bits."""
        defaults = {"group": 32}
    METHOD = Ternary()
'''
METHOD_COST = '''
    """Two bits a weight."""
    from scripts.techniques.quantization.cost import QuantizationCost
    class TernaryCost(QuantizationCost):
        """Two bits a weight."""
        def matrix_bytes(self, value, matrix, size, repacked):
            """Two bits a weight."""
            return matrix.weights // 4
    COST = TernaryCost()
'''
NAMELESS = r"toy/facet\.py: the facet must have the name 'toy' and a whole number as order; set them"
BASE = {"model": "small", "kv_cache": "dynamic"}


@pytest.fixture
def plugin(tmp_path):
    """A folder with a toy facet and a toy method of quantization, in use while the test runs."""
    before = [str(root) for root in plugins.roots()]
    folder = tmp_path / "scripts" / "techniques"
    for path, text in {
        "toy/__init__.py": '"""Toy."""', "toy/facet.py": FACET, "toy/cost.py": COST,
        "quantization/ternary/__init__.py": '"""Ternary."""', "quantization/ternary/method.py": METHOD,
        "quantization/ternary/cost.py": METHOD_COST,
    }.items():  # fmt: skip
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(textwrap.dedent(text), encoding="utf-8")
    plugins.use([str(tmp_path)])
    yield folder
    plugins.use(before)
    for name in [name for name in sys.modules if ".toy" in name or ".ternary" in name]:
        del sys.modules[name]


def resolved(**more):
    entries = {"root": BASE, "made": {"extends": "root"} | more}
    return techniques.resolve(entries, [], {"small"})[1]


def test_a_facet_from_outside_is_found_in_its_place_and_costed(plugin):
    made = resolved(toy=2, quantization="nf4", pruning="magnitude")
    assert made.facets == ["pruning", "toy", "quantization", "kv_cache"]
    assert "scripts.techniques.toy.facet" in made.code_modules
    assert "plugin:scripts/techniques/toy/facet.py" in sources.digests(*made.code_modules)
    assert "plugin:scripts/techniques/toy/cost.py" in sources.digests(*made.cost_modules)
    assert costs.costs_of({"toy": 2}).architecture(SHAPE)["intermediate"] == 64
    assert resolved(toy=2).lossless
    assert not resolved(toy=2, quantization="nf4").lossless


def test_a_method_from_outside_is_found_and_costed(plugin):
    made = resolved(quantization="ternary")
    assert made.settings["quantization"] == {"method": "ternary", "group": 32}
    assert "plugin:scripts/techniques/quantization/ternary/method.py" in sources.digests(*made.code_modules)
    stored = sizes.weight_bytes(SHAPE, costs.costs_of(made.settings), "float32")
    assert stored < sizes.weight_bytes(SHAPE, costs.costs_of(BASE), "float32")
    with pytest.raises(StudyError, match=r"'four' does not exist; use 'none', .*'nf4' or 'ternary'"):
        resolved(quantization="four")


def test_without_the_plugin_there_is_no_such_facet_or_method():
    assert "toy" not in registry.facet_names()
    assert "ternary" not in registry.method_names("quantization")
    with pytest.raises(StudyError, match=r"the facet 'toy' has no module scripts/techniques/toy/facet\.py"):
        registry.load_facet("toy")


@pytest.mark.parametrize(
    ("path", "settings", "reason"),
    [
        ("toy/cost.py", {"toy": 2}, "the facet toy has no cost"),
        ("quantization/ternary/cost.py", {"quantization": {"method": "ternary"}}, "the method ternary of quantization"),
    ],
)
def test_a_forgotten_cost_is_told_and_promises_nothing(plugin, path, settings, reason):
    (plugin / path).unlink()
    with pytest.raises(costs.NoCostError, match=f"{reason}.*{path} is missing"):
        costs.costs_of(BASE | settings)
    assert not costs.is_lossless(settings, BASE | settings)


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        ("toy/facet.py", "FACET =", "OTHER =", r"toy/facet\.py has no FACET, an instance of Facet; add it"),
        ("toy/facet.py", "Toy()", "Toy", r"toy/facet\.py has no FACET, an instance of Facet; add it"),
        ("toy/facet.py", 'name, order = "toy", 15', 'name = "toy"', NAMELESS),
        ("toy/facet.py", '"toy"', '"doll"', NAMELESS),
        ("toy/cost.py", "COST =", "OTHER =", r"toy/cost\.py has no COST, an instance of Cost; add it"),
        ("quantization/ternary/method.py", "METHOD =", "OTHER =", r"method\.py has no METHOD, an instance of Method"),
    ],
)
def test_what_is_not_whole_is_one_sentence(plugin, path, old, new, said):
    text = (plugin / path).read_text(encoding="utf-8")
    assert old in text
    (plugin / path).write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(StudyError, match=said):
        costs.is_lossless(dict.fromkeys(made := resolved(toy=2, quantization="ternary").settings), made)


def test_a_method_that_is_not_there_is_one_sentence():
    with pytest.raises(StudyError, match="pruning has no method 'nope'; it has magnitude, structured, wanda"):
        registry.load_method("pruning", "nope")


def test_a_package_without_an_init_is_named(plugin):
    (plugin / "toy" / "__init__.py").unlink()
    with pytest.raises(StudyError, match=r"scripts/techniques/toy/__init__\.py is missing; add it"):
        sources.digests("scripts.techniques.toy.facet")


def test_a_quantization_method_must_say_its_bytes(plugin):
    path = plugin / "quantization/ternary/cost.py"
    path.write_text(path.read_text(encoding="utf-8").replace("def matrix_bytes", "def other"), encoding="utf-8")
    with pytest.raises(TypeError, match="matrix_bytes"):
        costs.load_cost("quantization", "ternary")


@pytest.mark.parametrize("facet", registry.facet_names())
def test_every_facet_and_method_of_the_project_has_a_cost_and_defaults(facet):
    assert isinstance(registry.load_facet(facet).order, int)
    costs.load_cost(facet)
    for method in registry.method_names(facet):
        costs.load_cost(facet, method)
        key = registry.load_facet(facet).key
        found = registry.load_method(facet, method)
        assert registry.load_facet(facet).resolve(method) == found.resolved({key: method} | found.defaults)


def test_no_two_facets_act_at_the_same_time():
    orders = [registry.load_facet(name).order for name in registry.facet_names()]
    assert len(set(orders)) == len(orders)
