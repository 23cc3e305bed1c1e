"""What Istio's webhook refuses or warns of: a file per group of kinds. Entry point: `run.validate`. Imports `api` and `util` only."""
