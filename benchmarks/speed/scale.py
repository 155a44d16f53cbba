"""Ten million files on a hundred machines, on paper: python -m benchmarks.speed.scale

A simulation, not a measurement: files of a bucket go through a driver, its workers and the store, event by event.
What a part takes is a constant below, with its origin. Each case changes what broke in the one before it; the table
names the part that was busy longest (--table prints it as well).
"""

import heapq
from dataclasses import dataclass

from benchmarks.launch import parser


@dataclass(frozen=True)
class Plan:
    """What is simulated.

    Attributes:
        files: how many, of `audio_s` seconds each.
        cores: of all machines.
        workers_per_core: more than one, so that some work while others wait for the store.
        drivers: commands that share the work, each on prefixes of its own.
        prefixes: of the bucket; a store limits the requests to each.
        claims: whether files are claimed: one PUT and one DELETE each.
        times_real_time: of one core. 60: `lull`, one core of a server, with reading and writing.
        item_ms: of Ray and the driver for one item. 0.5: benchmarks.speed.cluster, 2,000 items, a loaded machine.
        list_ms: of the driver for one list. 3: the same, lists of one item.
        request_ms: from a request to S3 to its answer; AWS says 100 to 200 for small objects.
        page_ms: of a listing of 1,000 names.
        puts_per_s, gets_per_s: that S3 promises for a prefix.
    """

    files: int = 10_000_000
    audio_s: float = 10.0
    cores: int = 1600
    workers_per_core: int = 1
    drivers: int = 1
    prefixes: int = 1
    claims: bool = True
    times_real_time: float = 60.0
    item_ms: float = 0.5
    list_ms: float = 3.0
    request_ms: float = 100.0
    page_ms: float = 150.0
    puts_per_s: float = 3500.0
    gets_per_s: float = 5500.0
    items_per_list: int = 32

    @property
    def gets(self) -> int:
        """GET and HEAD requests of a file, counted by tests/cluster: its note, again under the claim; output; input."""
        return 4 if self.claims else 3

    @property
    def puts(self) -> int:
        """PUT and DELETE requests of a file: the output; its note and the claim, twice each."""
        return 5 if self.claims else 3


CASES = {
    "as it is: one command, one prefix": Plan(),
    "32 prefixes": Plan(prefixes=32),
    "the same, 6 workers a core": Plan(prefixes=32, workers_per_core=6),
    "the same, 8 commands": Plan(prefixes=32, drivers=8, workers_per_core=6),
    "the same, a tenth of the cores": Plan(prefixes=32, drivers=8, workers_per_core=6, cores=160),
}
DOLLARS_PER_CORE_HOUR, DOLLARS_PER_PUT, DOLLARS_PER_GET = 0.04, 5e-6, 0.4e-6  # on demand; S3, us-east-1


class Line:
    """A part that does one thing after the other, each of which takes a fixed time."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.free, self.busy = seconds, 0.0, 0.0

    def take(self, now: float, n: int = 1) -> float:
        """When n things are through that come now."""
        self.free = max(self.free, now) + n * self.seconds
        self.busy += n * self.seconds
        return self.free


def simulate(plan: Plan) -> dict[str, float]:
    """Play a plan through, list by list; every driver has an equal share of all, so one is played.

    Args:
        plan: what to play.

    Returns:
        hours in all, and of each part the share of them that it was busy.
    """
    share = plan.drivers
    n_lists = plan.files // plan.items_per_list // share
    items = plan.items_per_list
    listing = Line(plan.page_ms / 1000 * items / 1000)
    driver = Line((plan.list_ms + items * plan.item_ms / 10) / 1000)  # most of an item's cost is the worker's
    puts = Line(plan.puts * items / (plan.puts_per_s * plan.prefixes / share))
    gets = Line(plan.gets * items / (plan.gets_per_s * plan.prefixes / share))
    compute = items * plan.audio_s / plan.times_real_time
    waiting = items * (plan.gets + plan.puts) * plan.request_ms / 1000 + items * plan.item_ms / 1000
    n_workers = max(plan.cores * plan.workers_per_core // share, 1)
    per_core = plan.workers_per_core
    alone = compute + waiting  # of one worker; those of a core share it where they all compute
    list_s = max(alone, compute * per_core)
    workers = [0.0] * n_workers
    end = 0.0
    for _ in range(n_lists):
        now = heapq.heappop(workers)
        start = driver.take(max(now, listing.take(0.0)))
        done = max(start + list_s, gets.take(start), puts.take(start))
        heapq.heappush(workers, done)
        end = max(end, done)
    parts = {"listing": listing, "driver": driver, "PUT": puts, "GET": gets}
    cores = n_lists * compute / (n_workers / per_core)
    busy = {name: part.busy / end for name, part in parts.items()} | {"cores": cores / end}
    return {"hours": end / 3600, **busy}


def dollars(plan: Plan, hours: float) -> tuple[float, float]:
    """What the machines cost, and the requests; a DELETE is free."""
    requests = plan.files * ((plan.puts - plan.claims) * DOLLARS_PER_PUT + plan.gets * DOLLARS_PER_GET)
    return hours * plan.cores * DOLLARS_PER_CORE_HOUR, requests


def main() -> None:
    parser(__doc__).parse_args()
    print("| plan | hours | busiest part | cores busy | machines | requests |\n|---|---|---|---|---|---|")
    for name, plan in CASES.items():
        found = simulate(plan)
        hours = found.pop("hours")
        part = max(found, key=lambda each: found[each])
        machines, requests = dollars(plan, hours)
        cores = f"{100 * found['cores']:.0f} %"
        busiest = f"{part} ({100 * found[part]:.0f} %)"
        print(f"| {name} | {hours:.2f} | {busiest} | {cores} | ${machines:.0f} | ${requests:.0f} |")


if __name__ == "__main__":
    main()
