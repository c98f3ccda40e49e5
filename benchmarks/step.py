"""Our training steps beside PyTorch's, the library multivae's, and what the machine can do."""

from __future__ import annotations

from collections.abc import Sequence

import comparisons
import conditions
import contenders
import floor
import interleaved

# The second is what the others are compared with.
VAE = ("mmtf", "torch", "mmtf_bfloat16", "multivae_singletons", *floor.MATRIX_PRODUCTS.values())
GAME = ("mmali", "torch_mmali", "mmali_bfloat16", *floor.MATRIX_PRODUCTS.values())
ALSO = {
    "mmtf_xla": "ours under XLA, slower on a CPU",
    "mmtf_deterministic": "ours with --deterministic",
    "mmali_deterministic": "the same of MMALI",
    "torch_channels_last": "another layout",
    "torch_compiled": "torch.compile, which needs a C++ compiler and a minute",
    "torch_bfloat16": "PyTorch's automatic casts",
    "torch_mmali_cached": "spectral norms taken once a turn",
}


def measure(batch_size: int, also: Sequence[str], length: comparisons.Length) -> dict[str, dict]:
    """`training` and `mmali`: a row per contender, the operations of a step, and its share of the machine's rate; printed.

    Where the processor multiplies no bfloat16, contenders that would are left out.
    """
    found, with_bfloat16 = {}, conditions.multiplies_bfloat16()
    for part, names, title in (
        ("training", VAE, f"mmJSD with subspaces, batch {batch_size}, data feeding included"),
        ("mmali", GAME, "MMALI, both turns, batch 64 as in [C], data feeding included"),
    ):
        ours, base = names[:2]
        size = batch_size if part == "training" else contenders.game().train.batch_size
        further = [name for name in also if ("mmali" in name) == (part == "mmali")]
        racing = [name for name in (*names, *further) if with_bfloat16 or "bfloat16" not in name]
        rows, circumstances = comparisons.side_by_side(racing, size, length, until_agreed=True)
        products = floor.vae_products(size) if part == "training" else floor.game_products(size)
        shares = floor.shares(rows, products, ours)
        found[part] = {"batch_size": size, "settings": length._asdict(), "rows": rows, "products": products}
        found[part] |= {"share_of_matrix_products": shares, "conditions": circumstances}
        steps = {name: row for name, row in rows.items() if name not in floor.MATRIX_PRODUCTS.values()}
        print(f"\n{title}\n\n{interleaved.table(steps, base)}\n\n{interleaved.circumstances(circumstances)}")
        print(f"\n{floor.text(rows, products, shares)}", flush=True)
    return found


def too_slow(found: dict, limit: float) -> list[str]:
    """Sentences: our steps that take more than that multiple of PyTorch's CPU time."""
    rows = {"mmJSD": found["training"]["rows"]["mmtf"], "MMALI": found["mmali"]["rows"]["mmali"]}
    return [
        f"Our step of {model} takes {row['cpu_ratio']} times PyTorch's CPU time; {limit} is allowed."
        for model, row in rows.items()
        if row["cpu_ratio"] > limit
    ]
