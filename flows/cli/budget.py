"""`veilcast budget`: accounts, caps, history and verification of the ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.options import Json, errors, open_folders
from flows.cli.options import show as shown

app = typer.Typer(
    help="Privacy budgets: accounts, caps, history, verification.", no_args_is_help=True
)

Unit = Annotated[str, typer.Option(help="Privacy unit of the account: user, user-day, ...")]
DataSet = Annotated[str, typer.Argument(help="Name of the data set, as `budget show` prints it.")]


@app.command(epilog="For example: veilcast budget show --delta 1e-6")
def show(
    delta: Annotated[float | None, typer.Option(help="Delta of all epsilons shown.")] = None,
    as_json: Json = False,
) -> None:
    """Show every account: spent, cap, left."""
    with errors():
        from flows.budget import accounts
        from flows.cli.render import budget as render

        shown(accounts.show(open_folders(), delta), as_json, render.accounts)


@app.command(epilog="For example: veilcast budget cap counts.csv --unit user-day --epsilon 4")
def cap(
    dataset: DataSet,
    epsilon: Annotated[float | None, typer.Option(help="The most that may be spent.")] = None,
    delta: Annotated[float, typer.Option(help="Delta of the cap.")] = 1e-7,
    unit: Unit = "user",
    none: Annotated[bool, typer.Option("--none", help="Remove the cap.")] = False,
    because: Annotated[str, typer.Option(help="Reason, recorded in the ledger.")] = "",
    new: Annotated[
        bool, typer.Option("--new", help="Allow a data set that nothing was charged to yet.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Set the cap of an account; every change is recorded in the ledger."""
    with errors():
        from flows.budget import accounts
        from flows.cli.render import budget as render
        from flows.errors import UsageError

        if none == (epsilon is not None):
            raise UsageError("give either --epsilon, the new cap, or --none to take it away")
        account = accounts.set_cap(
            open_folders(), dataset, unit, epsilon, delta, because=because, new=new
        )
        shown(
            {"account": account},
            as_json,
            lambda document: render.accounts({"accounts": [document["account"]]}),
        )


@app.command(epilog="For example: veilcast budget history counts.csv --unit user-day")
def history(
    dataset: Annotated[str | None, typer.Argument(help="Only this data set.")] = None,
    unit: Annotated[str | None, typer.Option(help="Only this unit.")] = None,
    as_json: Json = False,
) -> None:
    """List all charges, oldest first."""
    with errors():
        from flows.budget import accounts
        from flows.cli.render import budget as render

        shown(accounts.history(open_folders(), dataset, unit), as_json, render.entries)


@app.command(epilog="For example: veilcast budget verify --head HASH")
def verify(
    head: Annotated[
        str | None, typer.Option(help="A hash noted earlier, which must still be in the chain.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Recompute the chain and the totals; exit 1 if anything was changed."""
    with errors():
        from flows.budget import accounts
        from flows.cli.render import budget as render

        document = accounts.verify_ledger(open_folders(), head)
        shown(document, as_json, render.verdict)
    raise typer.Exit(0 if document["holds"] else 1)


@app.command(epilog="For example: veilcast budget export > ledger.json")
def export(
    form: Annotated[
        str, typer.Option("--format", help="json, or registry: YAML for the public registry.")
    ] = "json",
) -> None:
    """Print the ledger, as JSON or as entries for the public registry of deployments."""
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
