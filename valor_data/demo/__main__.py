"""`python -m valor_data.demo`, which is `make demo`."""

from typing import Annotated

import typer

from valor_data.cli import guarded
from valor_data.demo import story

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def demo(
    media: Annotated[
        str | None, typer.Option("--media", help="A folder of your own videos, in place of rendered ones.")
    ] = None,
    folder: Annotated[str, typer.Option("--folder", help="Where all of it goes.")] = "demo-workspace",
) -> None:
    """Render footage, serve it on loopback, and send it through the whole chain."""
    if media is None:
        story.tell(folder)
    else:
        story.tell_of(media, folder)


guarded(app)
