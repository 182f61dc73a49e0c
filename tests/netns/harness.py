# SPDX-License-Identifier: GPL-2.0-only
"""Makes tests/harness importable, wherever a test is started from: `import harness` comes first in every test."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "harness"))
