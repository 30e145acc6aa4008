# SPDX-License-Identifier: Apache-2.0
"""The targets are found here as they are when fuzz.py is run."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
