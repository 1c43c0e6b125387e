"""The operations that are measured."""

from typing import Final

FEDERATED: Final = """
query Federated {
  orders(first: 50) {
    nodes {
      id number kind status plannedAt
      vehicle { id plate fleetNumber state position { latitude longitude speedKmh recordedAt } }
      lines {
        lineNumber itemNumber quantity { value unit }
        item {
          id number name revision
          inventory { id warehouse location status available { value unit } }
        }
      }
    }
  }
}
"""
"""50 orders, their lines, each line's item, its stock at three sites, and each order's vehicle."""

ONE: Final = """
query One($id: ID!) {
  order(id: $id) { id number kind status warehouse partner carrier vehiclePlate referenceNumber plannedAt }
}
"""
"""One object, ten fields."""
