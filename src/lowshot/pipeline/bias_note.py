"""The sentence about a calibration bias of zero, with which the calibrated tables repeat the others."""

from __future__ import annotations

from collections.abc import Iterable

from lowshot.benchmark.calibration_bias import TARGETS
from lowshot.benchmark.results import Record
from lowshot.recipe.method_sections import EvaluateSection


def zero_bias_note(records: Iterable[Record], evaluate: EvaluateSection) -> str | None:
    """A sentence where no bias improved an accuracy on the validation setup; None where each method has one.

    Args:
        records (iterable of dict): The results of a recipe.
        evaluate (EvaluateSection): The recipe's section, which names the accuracy that the bias maximises.
    """
    chosen = [record for record in records if record["setup"] == "val" and record.get("prior") is not None]
    names = {f"{record['representation']}/{record['method']}" for record in chosen}
    zero = names - {f"{record['representation']}/{record['method']}" for record in chosen if record["prior"] != 0}
    if not zero:
        return None
    of = "every method" if zero == names else ", ".join(sorted(zero))
    sizes = chosen[0]["data"]
    base, novel = sizes["base"], sizes["novel"]
    target = evaluate.prior_target_for(base + novel)
    k = TARGETS[target]
    why, advice = f"no other one improves {target} there", ""
    if base + novel <= k:
        why = f"with {base} base and {novel} novel classes there, {target} is right whatever the bias"
        advice = ". Larger validation halves in split.base and split.novel give it something to choose"
        advice += ", and so does evaluate.prior_target=all_top1" if k > 1 else ""
    return f"The calibration bias that is chosen on val is 0 for {of}: {why}. all_prior accuracies repeat all{advice}"
