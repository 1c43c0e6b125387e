"""Machines behind OPC UA servers: PLCs, robots, lines with the Machinery or PackML companion models.

API: https://reference.opcfoundation.org/ (through the library asyncua)
Oddities: namespace indices differ per server and after a restart, so nodes are named by namespace URI; the address
space is a graph with several ways to one node; servers revise what clients ask for; a Null with status Good is
"unknown", not "empty".
"""
