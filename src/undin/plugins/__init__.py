"""Filters for frameworks of voice agents: `undin.plugins.pipecat` and `undin.plugins.livekit`; see docs/agents.md."""
