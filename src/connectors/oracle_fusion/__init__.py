"""Oracle Fusion Cloud SCM and ERP: items, item structures, work orders, by its REST resources.

API: https://docs.oracle.com/en/cloud/saas/supply-chain-and-manufacturing/26b/fasrp/ (ADF REST framework)
Oddities: `q` means another language from framework version 2 on; keys in addresses may be opaque hashes; expanded
children are cut short; no end is `4712-12-31`; the flat structure resource writes numbers and nulls as texts.
"""

from connectors.oracle_fusion.connector import OracleFusion

CONNECTOR = OracleFusion

__all__ = ["CONNECTOR", "OracleFusion"]
