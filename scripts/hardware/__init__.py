"""GPU data sheets, and analytic models of memory (bytes) and work (FLOPs, traffic).

Nothing here measures anything or imports torch; every figure is compared with a measured one elsewhere.
"""
