"""`lateen crds`: the CustomResourceDefinitions of the kinds that Lateen reads."""

import click
import yaml

from lateen.kube.crds import CUSTOM, definition

__all__ = ["crds"]


@click.command()
def crds() -> None:
    """Print the CustomResourceDefinitions of Istio's kinds as YAML, for `kubectl apply -f -`."""
    found = (definition(info) for info in CUSTOM if info.is_istio)
    click.echo(yaml.safe_dump_all(found, sort_keys=False, width=140), nl=False)
