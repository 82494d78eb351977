"""Sample files with known defects, for a first run, for tests and for measurements.

The same `SampleSpec` gives the same bytes everywhere.
"""

from orchestration_project.sample.defects import Defect, Manifest, SampleFile, SampleSpec
from orchestration_project.sample.files import generate

__all__ = ["Defect", "Manifest", "SampleFile", "SampleSpec", "generate"]
