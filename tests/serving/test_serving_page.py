"""docs/serving.md: its table names the signatures that there are."""

import re

import toys
from checkout import ROOT

from mmtf.serving.signatures import DEFAULT, verbs_of


def test_its_table_names_every_signature_and_no_other():
    page = (ROOT / "docs/serving.md").read_text()
    table = page[page.index("| signature |") : page.index("Images are float32 in 0..1")]
    rows = [line.split("|")[1] for line in table.splitlines()[2:] if line.startswith("|")]
    named = set(re.findall(r"`(\w+)`", "".join(rows)))
    model = toys.model()
    expanded = {name.replace("_X", f"_{x}") for name in named for x in model.names}
    assert {DEFAULT, *verbs_of(model)} == expanded
