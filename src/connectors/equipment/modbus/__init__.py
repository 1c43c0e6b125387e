"""Machines that speak Modbus: PLCs, drives, meters; over TCP or a serial line (RTU).

API: https://modbus.org/specs.php (through the library pymodbus)
Oddities: there is no discovery, no type, no unit, no time on the wire: the register map is settings; no
authentication; several slaves share a line or gateway, told apart by their unit id; order of words and bytes is
each maker's own; documentation counts from 1 with a leading digit (40001 is holding register 0).
"""
