"""What the composition roots and adapters run on: tasks, clock, logs, settings.

Nothing of the core imports it.

Entry point: `runtime.tasks.spawn`, `runtime.clock.Clock`, `runtime.log.get`.
May import: `util`, asyncio, structlog.
"""
