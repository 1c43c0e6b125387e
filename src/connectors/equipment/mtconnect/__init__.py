"""Machines behind an MTConnect agent: CNC mills, lathes and what stands beside them. Read-only.

API: https://www.mtconnect.org/standard-download20181 (agent REST: probe, current, sample, assets)
Oddities: an agent that restarts begins its sequence numbers at 1 again under another `instanceId`; old agents put
errors into answers of status 200; the agent lists itself as a device; a condition may be active several times at
once, told apart by its native code; texts of events come in upper case.
"""
