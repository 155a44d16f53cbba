"""Counters for /metrics, in Prometheus' text format. Used in the event loop only, so it needs no lock."""

from collections import Counter, defaultdict
from collections.abc import Mapping

BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
HELP = {
    "undin_requests_total": "Answers by path and status.",
    "undin_file_audio_seconds_total": "Seconds of audio in processed files.",
    "undin_socket_audio_seconds_total": "Seconds of audio received on sockets.",
    "undin_packets_late_total": "Packets answered later than their own duration and than 20 ms.",
    "undin_sockets_refused_total": "Sockets refused because the server is at its capacity.",
    "undin_files": "Files being uploaded, waiting, processed or downloaded.",
    "undin_sockets": "Open live sockets.",
    "undin_sockets_load": "Estimated load of the open sockets; 1 is the capacity.",
}


class Metrics:
    """Counters, and a histogram of the time from a packet's arrival to its answer."""

    def __init__(self) -> None:
        self._counts: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._buckets: Counter[float] = Counter()
        self._packet_s = 0.0
        self.n_packets = 0

    def add(self, name: str, value: float = 1, **labels: object) -> None:
        """Raise a counter of `HELP`; labels come from this server, never from a client."""
        text = ",".join(f'{key}="{label}"' for key, label in labels.items())
        self._counts[name, f"{{{text}}}" if text else ""] += value

    def add_packet(self, seconds: float) -> None:
        """Count a packet and its response time in seconds."""
        self.n_packets += 1
        self._packet_s += seconds
        self._buckets[next((top for top in BUCKETS_S if seconds <= top), float("inf"))] += 1

    def text(self, gauges: Mapping[str, float]) -> str:
        """All counters in Prometheus' text format.

        Args:
            gauges: current values, by a name of `HELP`.
        """
        lines = []
        for name, help in HELP.items():
            kind = "gauge" if name in gauges else "counter"
            lines += [f"# HELP {name} {help}", f"# TYPE {name} {kind}"]
            rows = {labels: value for (counter, labels), value in sorted(self._counts.items()) if counter == name}
            if name in gauges:
                rows = {"": gauges[name]}
            lines += [f"{name}{labels} {value:g}" for labels, value in rows.items()]
        return "\n".join([*lines, *self._histogram()]) + "\n"

    def _histogram(self) -> list[str]:
        name, below = "undin_packet_seconds", 0
        lines = [f"# HELP {name} Seconds from a packet's arrival to its answer.", f"# TYPE {name} histogram"]
        for top in BUCKETS_S:
            below += self._buckets[top]
            lines.append(f'{name}_bucket{{le="{top:g}"}} {below}')
        lines.append(f'{name}_bucket{{le="+Inf"}} {self.n_packets}')
        return [*lines, f"{name}_sum {self._packet_s:g}", f"{name}_count {self.n_packets}"]
