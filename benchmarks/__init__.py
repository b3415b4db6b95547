"""What the project claims, measured: one module a table, results beside them.

``python -m benchmarks NAME`` measures and writes ``results/NAME.json`` and
``results/NAME.md``. Only ratios within one run mean anything across machines.
"""
