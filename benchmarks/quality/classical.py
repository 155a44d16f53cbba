"""How much the methods that learn nothing help: python -m benchmarks.quality.classical [--table]

100 mixtures of test speakers with test recordings of twelve everyday noises, and 100 with every kind of noise,
at -5, 0, 5, 10 and 15 dB. Seeds are fixed; settings were chosen on the development split.
"""

from benchmarks.launch import parser
from benchmarks.scoring import RESULTS, methods, read, real_data, run, table, table_by
from undin.mixing import make_manifest

EVERYDAY = ["air_conditioner", "airplane", "car_horn", "clock", "dishwasher", "engine"]
EVERYDAY += ["keyboard", "rain", "train", "vacuum_cleaner", "washing_machine", "wind"]
METHODS = ["spectral-gate", "log-mmse"]
SNRS_DB = [-5.0, 0.0, 5.0, 10.0, 15.0]
SETS = {"everyday": EVERYDAY, "all": None}


def main() -> None:
    options = parser(__doc__).parse_args()
    for name, kinds in SETS.items():
        path = RESULTS / f"classical_{name}.csv"
        if options.table:
            results = read(path)
        else:
            corpus = real_data()
            rows = make_manifest(corpus, n=100, seed=2026, snr_db=SNRS_DB, kinds=kinds, split="test")
            results = run(rows, corpus, methods(METHODS), path)
        print(f"\n**{name} noise**, 100 mixtures, -5 to 15 dB\n\n{table(results)}")
        for metric in ("pesq_wb", "stoi", "si_sdr_db"):
            print(f"\n{metric} per SNR\n\n{table_by(results, 'snr_db', METHODS, metric)}")
        print(f"\nSI-SDR per kind\n\n{table_by(results, 'kind', METHODS, 'si_sdr_db')}")


if __name__ == "__main__":
    main()
