"""``cacheplan proxy``."""

from __future__ import annotations

import click

__all__ = ["proxy"]


@click.command()
@click.option("--port", default=8377, metavar="N", help="Where to listen; 0 takes a free one.")
@click.option("--upstream", default="", metavar="URL", help="The API, or a gateway to it.")
@click.option("--plan", "plan_file", metavar="PLAN.json", help="Marks placed by a plan.")
@click.option("--ledger", metavar="FILE", help="Where finished calls are written down.")
@click.option("--mode", type=click.Choice(["apply", "observe"]), default="apply")
@click.option("--on-existing", type=click.Choice(["respect", "fill", "replace"]), default="respect")
@click.option("--label", metavar="NAME", help="The feature that the cost is booked on.")
def proxy(port: int, upstream: str, plan_file: str | None, **given: str | None) -> None:
    """Mark and record the calls of programs that take only a base URL."""
    from cacheplan.io.plans import Plan
    from cacheplan.io.proxy import Proxy

    plan = None if plan_file is None else Plan.load(plan_file)
    listening = Proxy(upstream, port=port, plan=plan, **given)
    click.echo(f"ANTHROPIC_BASE_URL={listening.url}")
    listening.serve()
