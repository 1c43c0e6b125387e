"""Siemens Teamcenter: items and their structures, over its service-oriented architecture (SOA) as JSON.

Oddities: every error comes with status 200; the log-in's field is spelt `descrimator`; an expansion comes in no
order; the names of saved queries and their entries depend on the session's locale. See README.md.
"""

from connectors.teamcenter.connector import Teamcenter

CONNECTOR = Teamcenter

__all__ = ["CONNECTOR", "Teamcenter"]
