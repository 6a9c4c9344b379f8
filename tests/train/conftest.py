"""What the tests of training share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from groundglass.cohort import Cohort


@pytest.fixture(scope="session")
def tiny_cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Twelve phantoms of 64×64, prepared once for all tests; read only."""
    pytest.importorskip("lightning", reason="needs groundglass[train]")
    from made_training import make_cohort  # noqa: PLC0415  (imports what training needs)

    return make_cohort(tmp_path_factory.mktemp("tiny"))
