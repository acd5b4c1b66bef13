"""Writes what people read or pass on: letters to a firm's IT department, support bundles, records, tables and files.

A firm is one customer's tenant with its app registration. "Facts" are numbered sections in ``docs/facts``.
"""
