"""What pruning removes: one module per method.

Each has ``DEFAULTS``, the method's options; ``prune``, which changes a checkpoint's tensors and returns what the check
needs; and ``check_order``, which compares the outcome with the checkpoint as it is stored, so that a method that
removes other weights than its criterion names is found.
"""
