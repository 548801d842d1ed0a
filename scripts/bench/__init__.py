"""`points bench`: what the system does in a second, and what a baseline does in the same run on the same machine.

A section (`sections`) measures on a `network` of its own, in an empty folder, and returns `figures`. Each round takes
the baseline and the real thing in turn, so that what else the machine does hits both.
"""
