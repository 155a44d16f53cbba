"""An import-linter contract: no two modules import each other in a loop, imports for type checking included.

`lint-imports` runs it, and so does `make check`; see pyproject.toml.
"""

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, output


class NoLoops(Contract):
    """Broken by every loop of imports between modules."""

    type_name = "no_loops"

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look for loops."""
        loops = find_loops(graph)
        return ContractCheck(kept=not loops, metadata={"loops": loops})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each loop, from the first of its modules back to it."""
        for loop in check.metadata["loops"]:
            output.print_error(" -> ".join([*loop, loop[0]]))


def find_loops(graph: ImportGraph) -> list[tuple[str, ...]]:
    """The shortest loop through each import that is part of one, as the modules along it, the first by name first."""
    loops = set()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            if chain := graph.find_shortest_chain(imported, module):
                start = chain.index(min(chain))
                loops.add(chain[start:] + chain[:start])
    return sorted(loops)
