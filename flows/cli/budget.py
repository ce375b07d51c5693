"""`veilcast budget`: what was promised, to whom, and how much is left."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.options import Json, errors, open_folders
from flows.cli.options import show as shown

app = typer.Typer(
    help="What was spent on whom: accounts, caps, history, checks.", no_args_is_help=True
)

Unit = Annotated[str, typer.Option(help="Privacy unit of the account: user, user-day, ...")]
DataSet = Annotated[str, typer.Argument(help="Name of the data set, as `budget show` has it.")]


@app.command(epilog="For example: veilcast budget show --delta 1e-6")
def show(
    delta: Annotated[float | None, typer.Option(help="Show all epsilons at this delta.")] = None,
    as_json: Json = False,
) -> None:
    """Every account: spent, cap, left."""
    with errors():
        from flows.budget import accounts
        from flows.cli.render import budget as render

        shown(accounts.show(open_folders(), delta), as_json, render.accounts)


@app.command(epilog="For example: veilcast budget cap counts.csv --unit user-day --epsilon 4")
def cap(
    dataset: DataSet,
    epsilon: Annotated[float | None, typer.Option(help="The most that may be spent.")] = None,
    delta: Annotated[
        float, typer.Option(help="Delta at which epsilon is compared with the cap.")
    ] = 1e-7,
    unit: Unit = "user",
    none: Annotated[bool, typer.Option("--none", help="Take the cap away.")] = False,
    because: Annotated[str, typer.Option(help="The reason, for the ledger.")] = "",
    new: Annotated[
        bool, typer.Option("--new", help="For a data set that nothing was charged to yet.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Set the cap of an account; every change stays in the ledger."""
    with errors():
        from flows.budget import accounts
        from flows.cli.render import budget as render
        from flows.errors import UsageError

        if none == (epsilon is not None):
            raise UsageError("give either --epsilon, the new cap, or --none to take it away")
        found = accounts.set_cap(
            open_folders(), dataset, unit, epsilon, delta, because=because, new=new
        )
        shown(
            {"account": found},
            as_json,
            lambda document: render.accounts({"accounts": [document["account"]]}),
        )


@app.command(epilog="For example: veilcast budget history counts.csv --unit user-day")
def history(
    dataset: Annotated[str | None, typer.Argument(help="Of one data set only.")] = None,
    unit: Annotated[str | None, typer.Option(help="Of one unit only.")] = None,
    as_json: Json = False,
) -> None:
    """All charges, oldest first."""
    with errors():
        from flows.budget import accounts
        from flows.cli.render import budget as render

        shown(accounts.history(open_folders(), dataset, unit), as_json, render.entries)


@app.command(epilog="For example: veilcast budget verify --head HASH")
def verify(
    head: Annotated[
        str | None, typer.Option(help="A hash noted earlier; must still be there.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Recompute the chain and the totals; exit 1 if anything was changed."""
    with errors():
        from flows.budget import accounts
        from flows.cli.render import budget as render

        document = accounts.check(open_folders(), head)
        shown(document, as_json, render.verdict)
    raise typer.Exit(0 if document["holds"] else 1)


@app.command(epilog="For example: veilcast budget export > ledger.json")
def export(
    form: Annotated[
        str, typer.Option("--format", help="json, or registry: YAML for the public registry.")
    ] = "json",
) -> None:
    """The whole ledger, as JSON or as entries for the public registry of deployments."""
    with errors():
        from flows.budget import accounts, deployment_registry
        from flows.errors import UsageError

        if form not in ("json", "registry"):
            raise UsageError(f"--format={form} is unknown; choose json or registry")
        document = accounts.export(open_folders())
        if form == "json":
            shown(document, True, lambda _: None)
        else:
            typer.echo(
                deployment_registry.to_yaml(deployment_registry.deployments(document)), nl=False
            )
