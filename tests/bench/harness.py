# SPDX-License-Identifier: GPL-2.0-only
"""Makes the shared harness importable; imported first."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
