"""Parts of a process's peak memory, from the readings of its device."""

from collections.abc import Callable

Mean = Callable[[str], float | None]
Parts = dict[str, float | None]
NAMES = (
    "base_bytes", "activation_bytes", "graph_pool_bytes", "allocator_bytes", "outside_bytes", "stale_file_bytes",
    "rest_bytes",
)  # fmt: skip


def on_gpu(mean: Mean) -> Parts:
    """Return the parts of a process on a GPU beside weights and cache, all in bytes.

    Args:
        mean: a reading of the device by its name in run.json, averaged over the runs; None where it is missing.
    """
    keys = ("weight_bytes", "kv_cache_bytes", "allocated_peak_bytes", "reserved_peak_bytes", "graph_pool_bytes",
            "graph_pool_used_bytes", "before_load_bytes", "before_load_allocated_bytes")  # fmt: skip
    values = [mean(key) for key in keys]
    process, process_before = mean("process_peak_bytes"), mean("before_load_process_bytes")
    reserved_before = mean("before_load_bytes")
    missing: Parts = dict.fromkeys(NAMES) | {"stale_file_bytes": 0.0}
    missing["base_bytes"] = reserved_before if process_before is None else process_before
    if None in values:
        return missing
    weights, cache, allocated, reserved, pools, pools_used, before, allocated_before = values
    live = allocated - allocated_before - pools_used  # what lies in pools is counted with them
    found = {
        "graph_pool_bytes": pools,
        "activation_bytes": max(0.0, live - weights - cache),
        "allocator_bytes": max(0.0, (reserved - before - pools) - live),
    }
    if process is None or process_before is None:
        return missing | found
    outside = max(0.0, (process - process_before) - (reserved - before))
    named = process_before + weights + cache + outside + sum(found.values())
    return missing | found | {"outside_bytes": outside, "rest_bytes": process - named}


def on_cpu(mean: Mean) -> Parts:
    """Return the parts of a process on a CPU beside weights and cache, all in bytes.

    Args:
        mean: as in :func:`on_gpu`.
    """
    base, added, process = mean("before_load_bytes"), mean("peak_bytes"), mean("process_peak_bytes")
    weights, cache, held = mean("weight_bytes"), mean("kv_cache_bytes"), mean("held_bytes")
    found: Parts = dict.fromkeys(NAMES) | {"graph_pool_bytes": 0.0, "allocator_bytes": 0.0, "base_bytes": base}
    if None in (added, weights, cache):
        return found
    if held is None:
        # Without the kernel's account of pages, all that is not named is in it.
        return found | {"activation_bytes": max(0.0, added - weights - cache)}
    staying = max(0.0, held - weights - cache)
    found["activation_bytes"] = activations = max(0.0, added - weights - cache - staying)
    libraries, stale, unread = mean("library_bytes"), mean("stale_file_bytes"), mean("unread_weight_bytes")
    found |= {"outside_bytes": libraries, "stale_file_bytes": stale}
    if None in (base, process, libraries, stale, unread):
        return found
    named = base + weights - unread + cache + activations + libraries + stale
    return found | {"rest_bytes": process - named}
