"""How weights are quantised: one module per library or form.

Each has ``DEFAULTS``, the options of its methods; ``load_options``, keyword arguments for ``from_pretrained``;
``after_load``, which finishes what that can't do; and ``evidence``, facts read back from the loaded layers.
"""
