"""Analysis: what is wrong between objects that are each valid by themselves. Entry point: `run.analyze`.

Each analyser is one file and one pure function `(objects) -> findings`; `run.py` lists them. May import api, model's plain helpers and
util only; pure: no I/O, no clock.
"""
