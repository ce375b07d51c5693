"""Attacks on the promise itself, on made-up data: each has to fail, and has a control if possible.

An audit of a mechanism (`flows.audit.audit`) measures how much a release discloses. These attacks look
beyond the mechanism: at the source of its random numbers, at the effect of one window on a clipped sum,
at what is published beside the release, and at the ledger's total.
"""
