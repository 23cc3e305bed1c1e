"""Lateen: a service mesh that speaks Istio's API."""

__version__ = "0.1.0"
