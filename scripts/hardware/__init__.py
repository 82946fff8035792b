"""What hardware can do by its data sheet, and what a model needs of it by arithmetic: bytes to keep, work to do.

Nothing here measures anything or imports torch; every figure is held against a measured one.
"""
