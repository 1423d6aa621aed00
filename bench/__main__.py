"""`make bench`: every figure of the bars, printed as a table. Arguments name the parts to run."""

import asyncio
import sys

from bench import datacenter, leaving, loop, pages, simulator, validator
from bench.figures import Figure, table

PARTS = {
    "loop": loop.figures,
    "leaving": leaving.figures,
    "simulator": simulator.figures,
    "validator": validator.figures,
    "pages": pages.figures,
    "datacenter": datacenter.figures,
}


async def measure(names: list[str]) -> list[Figure]:
    return [figure for name in names for figure in await PARTS[name]()]


def main() -> None:
    wanted = sys.argv[1:] or list(PARTS)
    if unknown := [name for name in wanted if name not in PARTS]:
        sys.exit(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    print(table(asyncio.run(measure(wanted))))  # noqa: T201 - a bench is there to print


if __name__ == "__main__":
    main()
