"""Attacks on the promise itself, on made-up data: each has to fail, and is shown to work where it can.

An audit of a mechanism (`flows.audit.audit`) measures how much a release tells. These look past the
mechanism: at where its random numbers come from, at what one window can do to a clipped sum, at what is
published beside the release, and at what the ledger adds up.
"""
