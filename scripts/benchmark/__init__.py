"""The benchmark: what each stage costs, beside the straightforward way and beside peers. Started by ``scripts/bench``."""
