"""Programs that run where the real package is installed, and need nothing but it.

``python -m benchmarks.rivals.packages.NAME`` is handed workloads and writes the bodies
that the package would send; ``line`` says in which form.
"""
